package hanse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

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
	chosen := []slog.Attr{slog.String("registry", fmt.Sprint(a.Registry)), slog.String("because", because)}
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
	for _, url := range v.registries {
		r, err := discovery.Parse(url, v.app.RegistrySchemes)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return discovery.First(all...), nil
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
			a.Registry, err = discovery.Parse(s.Registry, a.RegistrySchemes)
			return fmt.Sprintf("hanse dev runs a system of that name in %s", s.Dir), errors.Join(err, v.joinIdentity(s))
		}
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
	for _, dir := range append(folders, root) {
		if dir == "" {
			continue
		}
		if s, ok := systems.Nearest(running, dir); ok {
			a.System = s.Name
			a.Registry, err = discovery.Parse(s.Registry, a.RegistrySchemes)
			return fmt.Sprintf("hanse dev runs for %s", s.Dir), errors.Join(err, v.joinIdentity(s))
		}
	}
	a.Registry = &discovery.Local{System: systems.OfFolder(root)}
	return fmt.Sprintf("no hanse dev runs for %s: the programs of that folder meet", root), nil
}
