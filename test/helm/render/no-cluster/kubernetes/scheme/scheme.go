// Package scheme stands in for the one that knows every kind of Kubernetes: this one knows none.
package scheme

import "k8s.io/apimachinery/pkg/runtime"

var Scheme = runtime.NewScheme()
