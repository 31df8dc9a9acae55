// Package rest stands in for access to a cluster, which nothing here has.
package rest

type Config struct{}
