package embednats_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/embednats"
	"github.com/nats-io/nats.go/jetstream"
)

// An app with the server inside of its process.
func Example_app() {
	app := &hanse.App{Backplane: &embednats.Server{Dir: "data"}}
	app.Main(&hanse.Service{Name: "cart"})
}

// An app whose server others use, too.
func Example_port() {
	app := &hanse.App{
		System:    "shop",
		Backplane: &embednats.Server{Dir: "data", Addr: ":4222", Token: os.Getenv("SHOP_TOKEN")},
	}
	app.Main(&hanse.Service{Name: "cart"})
}

// An app that uses a hub or any other NATS.
func Example_elsewhere() {
	app := &hanse.App{System: "shop", Backplane: hanse.NATS("nats://hub-1,hub-2,hub-3?token-file=/etc/hanse/token")}
	app.Main(&hanse.Service{Name: "cart"})
}

// A server by itself, as a test of one's own code with NATS has it.
func ExampleServer() {
	dir, err := os.MkdirTemp("", "embednats")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	server := &embednats.Server{Dir: dir}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()

	nc, err := server.Connect(ctx)
	if err != nil {
		log.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		log.Fatal(err)
	}
	info, err := js.AccountInfo(ctx)
	fmt.Println(info.Streams, err)

	nc.Close()
	cancel()
	fmt.Println(<-ended)
	// Output:
	// 0 <nil>
	// <nil>
}
