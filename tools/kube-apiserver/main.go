// Command kube-apiserver is the API server of Kubernetes, for the tests of k8sdiscovery: see `make k8s-e2e`. It takes long to build, and
// what its module requires has no business elsewhere, so nothing else builds, tests or tidies it.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() { os.Exit(cli.Run(app.NewAPIServerCommand())) }
