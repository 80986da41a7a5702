// Package config fills structs with settings that know where they came from.
//
// A service declares what can be set as a struct, and gets it filled in its set-up:
//
//	type settings struct {
//		MaxItems int           `default:"50" desc:"items that fit in one cart"`
//		TTL      time.Duration `default:"24h"`
//		DB       struct {
//			URL      string        `required:"true"`
//			Password config.Secret // never printed
//		}
//	}
//
//	var cfg settings
//	if err := s.Config(&cfg); err != nil {
//		return err
//	}
//
// Every value comes from the strongest layer that has one:
//
//	default      what the struct held before, else the tag `default:"…"`
//	file         YAML, one top-level key for each service:   cart: {max-items: 20, db: {url: …}}
//	environment  SERVICE_FIELD:                              CART_MAX_ITEMS=20  CART_DB_URL=…
//	flags        service.field=value:                        --set cart.max-items=20
//
// A field's name is its `yaml:"…"` tag, else its Go name in lower case with dashes (MaxItems is max-items, DBURL is dburl and URL is
// url). `yaml:"-"` leaves it out, and embedded structs and `yaml:",inline"` put their fields among those of the outer one. Unexported
// fields are ignored.
//
// Fields are booleans, numbers, strings, [time.Duration] (5s, 1h30m), [Secret], whatever has UnmarshalText ([time.Time], netip.Addr,
// slog.Level), any, and slices, arrays, maps, pointers and structs of these. In the environment and in flags a slice is written a,b,c
// and a map k=v,k=v, or either as YAML: [a, b], {k: v}. A slice or a map of a stronger layer replaces that of a weaker one whole.
// An empty environment variable and a null in the file count as not set.
//
// A struct (a nested one, too) that has Validate() error is asked once all is filled; an [Error] of it is shown with its line. A key of the file that no struct knows is an
// error that shows the line and the nearest name: [Loader.Check] finds them once all structs are known.
//
// [Watch] gives live values: when the file changes, everything is read and validated again, and then either all watchers get the new
// values or the change is refused, logged, and the old values stay.
package config
