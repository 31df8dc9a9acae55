// Renders a chart with helm's own loader, schema check and engine: `render CHART`. Each line of standard input is one
// request, each line of standard output its answer, in JSON.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
)

// What is asked: values of a user, and instead of the chart's own defaults those of an earlier one, as
// `helm upgrade --reuse-values` has them.
type request struct {
	Values    map[string]any `json:"values"`
	Defaults  map[string]any `json:"defaults"`
	Namespace string         `json:"namespace"`
}

type answer struct {
	// By the name of the template.
	Files map[string]string `json:"files,omitempty"`
	Error string            `json:"error,omitempty"`
}

func render(path string, asked request) (map[string]string, error) {
	chart, err := loader.Load(path)
	if err != nil {
		return nil, err
	}
	if asked.Defaults != nil {
		chart.Values = asked.Defaults
	}
	release := chartutil.ReleaseOptions{Name: "ambient", Namespace: asked.Namespace, Revision: 1, IsInstall: true}
	values, err := chartutil.ToRenderValues(chart, asked.Values, release, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Render(chart, values)
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: render CHART")
		os.Exit(2)
	}
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	answers := json.NewEncoder(os.Stdout)
	decoder := json.NewDecoder(lines)
	for {
		var asked request
		if err := decoder.Decode(&asked); err != nil {
			return
		}
		var said answer
		files, err := render(os.Args[1], asked)
		if err != nil {
			said.Error = err.Error()
		} else {
			said.Files = files
		}
		if err := answers.Encode(said); err != nil {
			return
		}
	}
}
