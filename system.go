package hanse

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hanse-go/hanse/discovery"
)

// chooseSystem decides which registry the app uses, and so which system it belongs to, and says so in the log: what was set
// explicitly; else that of the system that runs for the program's folder or one above it; else one that programs of the same folder
// share.
func (v *values) chooseSystem(env func(string) string) error {
	a := v.app
	var because string
	switch {
	case len(v.registries) > 0:
		registry, err := parseRegistries(v.registries)
		if err != nil {
			return err
		}
		a.Registry, because = registry, "it was set"
	case a.Registry != nil:
		because = "the program chose it"
	case env("KUBERNETES_SERVICE_HOST") != "":
		return errors.New(kubernetesHelp)
	default:
		return errors.New("no registry")
	}
	a.logger().Info("registry", "registry", fmt.Sprint(a.Registry), "system", a.System, "because", because)
	return nil
}

// kubernetesHelp is for a program in a pod that was told nothing: its neighbours are not on its machine.
const kubernetesHelp = `this is a Kubernetes pod and no registry was given, so that other services would not be found. Add to the container:
  env:
  - {name: HANSE_ADDR, value: ":8443"}
  - {name: HANSE_REGISTRY, value: "dns:///{service}:8443"}
with a headless Service (clusterIP: None) named like each service, in the same namespace; or, for a program that needs no others,
  - {name: HANSE_REGISTRY, value: "memory:"}`

// parseRegistries returns the registry for one or several URLs.
func parseRegistries(urls []string) (discovery.Registry, error) {
	return nil, fmt.Errorf("unknown registries %s", strings.Join(urls, " "))
}

// targets returns the registry with the targets of the App put before it.
func (a *App) targets(r discovery.Registry) discovery.Registry { return r }
