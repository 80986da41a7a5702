// Command client asks the greeter service for a greeting.
//
//	go run ./hello/client Lübeck
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/hanse-go/hanse"
	greeterv1 "github.com/hanse-go/hanse/examples/hello/proto/greeter/v1"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: client NAME")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(name string) error {
	app, err := hanse.FromEnv()
	if err != nil {
		return err
	}
	defer app.Close()

	// The call waits for a greeter until its deadline: start them in any order.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	reply, err := greeterv1.NewGreeterClient(app.Conn("greeter")).Hello(ctx, &greeterv1.HelloRequest{Name: name})
	if err != nil {
		return err
	}
	fmt.Println(reply.GetGreeting())
	return nil
}
