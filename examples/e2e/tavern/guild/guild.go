// Package guild is services that call too much, each in its own way: what hanse advise is to find.
//
// The waiter asks the menu for each dish of an order by itself (N+1). The kitchen asks the pantry, which asks the kitchen before it
// answers (a circle).
package guild

import (
	"context"
	"fmt"
	"strings"

	"github.com/hanse-go/hanse"
	greeterv1 "github.com/hanse-go/hanse/examples/hello/proto/greeter/v1"
)

// member is a service whose answer to a name is that of a function.
type member struct {
	greeterv1.UnimplementedGreeterServer
	answer func(ctx context.Context, name string) (string, error)
}

func (m member) Hello(ctx context.Context, req *greeterv1.HelloRequest) (*greeterv1.HelloResponse, error) {
	text, err := m.answer(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return &greeterv1.HelloResponse{Greeting: text}, nil
}

// ask returns a function that asks another service.
func ask(s *hanse.Service, name string) func(ctx context.Context, what string) (string, error) {
	client := greeterv1.NewGreeterClient(s.Conn(name))
	return func(ctx context.Context, what string) (string, error) {
		reply, err := client.Hello(ctx, &greeterv1.HelloRequest{Name: what})
		return reply.GetGreeting(), err
	}
}

func menu(_ context.Context, s *hanse.Service) error {
	greeterv1.RegisterGreeterServer(s, member{answer: func(_ context.Context, dish string) (string, error) {
		return fmt.Sprintf("%s for %d pence", dish, len(dish)), nil
	}})
	return nil
}

func waiter(_ context.Context, s *hanse.Service) error {
	price := ask(s, "menu")
	greeterv1.RegisterGreeterServer(s, member{answer: func(ctx context.Context, order string) (string, error) {
		var list []string
		for dish := range strings.FieldsSeq(order) {
			text, err := price(ctx, dish)
			if err != nil {
				return "", err
			}
			list = append(list, text)
		}
		return strings.Join(list, ", "), nil
	}})
	return nil
}

// raw is what the pantry asks the kitchen about a dish.
const raw = "raw "

func kitchen(_ context.Context, s *hanse.Service) error {
	fetch := ask(s, "pantry")
	greeterv1.RegisterGreeterServer(s, member{answer: func(ctx context.Context, dish string) (string, error) {
		if what, ok := strings.CutPrefix(dish, raw); ok {
			return "a pound of " + what, nil
		}
		text, err := fetch(ctx, dish)
		return "cooked: " + text, err
	}})
	return nil
}

func pantry(_ context.Context, s *hanse.Service) error {
	need := ask(s, "kitchen")
	greeterv1.RegisterGreeterServer(s, member{answer: func(ctx context.Context, dish string) (string, error) {
		return need(ctx, raw+dish)
	}})
	return nil
}

// Services returns all of them.
func Services() []*hanse.Service {
	return []*hanse.Service{
		{Name: "menu", Setup: menu}, {Name: "waiter", Setup: waiter}, {Name: "kitchen", Setup: kitchen}, {Name: "pantry", Setup: pantry},
	}
}
