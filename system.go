package hanse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/internal/systems"
)

// chooseSystem decides which registry the app uses, and so which system it belongs to, and says so in the log: what was set
// explicitly; else the system that runs for the program's folder or one above it; else the registry that programs of the same
// module share.
func (v *values) chooseSystem(env func(string) string) error {
	a := v.app
	if v.files != nil {
		v.files.Logger = a.logger()
	}
	because := "it was set"
	var err error
	switch {
	case len(v.registries) > 0:
		if a.Registry, err = v.parseRegistries(); err == nil {
			err = v.joinIdentityOf(v.registries)
		}
	case a.Registry != nil:
		because = "the program chose it"
	case a.isShared():
		because = "it is on the backplane that was given"
	case env("KUBERNETES_SERVICE_HOST") != "":
		err = errors.New(kubernetesHelp)
	case a.System != "":
		because, err = v.joinNamed()
	default:
		because, err = v.joinFolder()
	}
	if err != nil {
		return err
	}
	level := slog.LevelInfo
	if len(v.registries) > 0 {
		level = slog.LevelDebug // who set it knows
	}
	chosen := []slog.Attr{slog.String("registry", fmt.Sprint(a.registry())), slog.String("because", because)}
	if a.Backplane != nil {
		chosen = append(chosen, slog.String("backplane", shown(a.Backplane)))
	}
	if a.System != "" {
		chosen = append([]slog.Attr{slog.String("system", a.System)}, chosen...)
	}
	a.logger().LogAttrs(context.Background(), level, "system chosen", chosen...)
	return nil
}

// kubernetesHelp is for a program in a pod that was told nothing: its neighbours are not on its machine.
const kubernetesHelp = `this is a Kubernetes pod (KUBERNETES_SERVICE_HOST is set) and no registry was given, so other services would not be found. Add to the container:
  env:
  - {name: HANSE_ADDR, value: ":8443"}
  - {name: HANSE_REGISTRY, value: "dns:///{service}:8443"}
together with a headless Service (clusterIP: None) named like each service. A program that calls no others takes
  - {name: HANSE_REGISTRY, value: "memory:"}`

// parseRegistries sets the registry to those of the URLs, the first of which that knows a service wins.
func (v *values) parseRegistries() (discovery.Registry, error) {
	var all []discovery.Registry
	schemes := maps.Clone(v.app.RegistrySchemes)
	if schemes == nil {
		schemes = make(discovery.Schemes)
	}
	if schemes["backplane"] == nil {
		schemes["backplane"] = v.app.openOnBackplane
	}
	for _, url := range v.registries {
		r, err := discovery.Parse(url, schemes)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return discovery.First(all...), nil
}

// joinBackplane takes the backplane of a running system, unless another was given or none is wanted.
func (v *values) joinBackplane(url string) {
	if url != "" && v.app.Backplane == nil && !v.noBackplane {
		v.app.Backplane = NATS(url)
	}
}

// joinHub takes the backplane of a running hub, and finds others there.
func (v *values) joinHub(h systems.Hub) (because string) {
	v.app.System, v.app.Backplane = h.Name, NATS(h.Backplane)
	return fmt.Sprintf("hanse hub runs for %s", h.Dir)
}

// joinNamed joins the running system that has the name of the app's, or the programs that were told the same name.
func (v *values) joinNamed() (because string, err error) {
	a := v.app
	running, err := systems.List()
	if err != nil {
		return "", err
	}
	for _, s := range running {
		if s.Name == a.System {
			v.joinBackplane(s.Backplane)
			v.joinTelemetry(s.Telemetry)
			a.Registry, err = discovery.Parse(s.Registry, a.RegistrySchemes)
			return fmt.Sprintf("hanse dev runs a system of that name in %s", s.Dir), errors.Join(err, v.joinIdentity(s))
		}
	}
	if hubs, err := systems.Hubs(); err != nil {
		return "", err
	} else if n := slices.IndexFunc(hubs, func(h systems.Hub) bool { return h.Name == a.System }); n >= 0 && !v.noBackplane {
		return v.joinHub(hubs[n]), nil
	}
	a.Registry, err = discovery.Parse("local:"+a.System, nil)
	return "no running system has that name: programs with the same --system meet", err
}

// joinFolder joins the system that runs for the program's folder, or else the programs of the same module.
func (v *values) joinFolder() (because string, err error) {
	a := v.app
	running, err := systems.List()
	if err != nil {
		return "", err
	}
	root, inModule := moduleRoot()
	folders := []string{mainSource()}
	if wd, err := os.Getwd(); err == nil && inModule {
		folders = append(folders, wd)
	}
	folders = slices.DeleteFunc(append(folders, root), func(dir string) bool { return dir == "" })
	for _, dir := range folders {
		if s, ok := systems.Nearest(running, dir); ok {
			a.System = s.Name
			v.joinBackplane(s.Backplane)
			v.joinTelemetry(s.Telemetry)
			a.Registry, err = discovery.Parse(s.Registry, a.RegistrySchemes)
			return fmt.Sprintf("hanse dev runs for %s", s.Dir), errors.Join(err, v.joinIdentity(s))
		}
	}
	hubs, err := systems.Hubs()
	if err != nil {
		return "", err
	}
	for _, dir := range folders {
		if h, ok := systems.NearestHub(hubs, dir); ok && !v.noBackplane && a.Backplane == nil {
			return v.joinHub(h), nil
		}
	}
	a.Registry = &discovery.Local{System: systems.OfFolder(root)}
	return fmt.Sprintf("no hanse dev runs for %s: the programs of that folder meet", root), nil
}
