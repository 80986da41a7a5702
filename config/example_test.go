package config_test

import (
	"fmt"
	"time"

	"github.com/hanse-go/hanse/config"
)

func Example() {
	type settings struct {
		MaxItems int           `default:"50" desc:"items that fit in one cart"`
		TTL      time.Duration `default:"24h"`
		Password config.Secret
	}
	loader := &config.Loader{
		Env:   func(name string) (string, bool) { return "hunter2", name == "CART_PASSWORD" }, // os.LookupEnv in a program
		Flags: map[string]string{"cart.max-items": "20"},
	}
	var cfg settings
	if err := loader.Load("cart", &cfg); err != nil {
		fmt.Println(err)
	}
	fmt.Println(cfg.MaxItems, cfg.TTL, cfg.Password)
	for _, v := range loader.Values("cart") {
		fmt.Printf("%-15s %-9s %s\n", v.Path, v.Text, v.Source)
	}
	// Output:
	// 20 24h0m0s [secret]
	// cart.max-items  20        flag cart.max-items
	// cart.ttl        24h0m0s   default
	// cart.password   [secret]  env CART_PASSWORD
}
