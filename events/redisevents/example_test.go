package redisevents_test

import (
	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/events/redisevents"
	"github.com/redis/go-redis/v9"
)

func ExampleNew() {
	client := redis.NewClient(&redis.Options{Addr: "redis:6379", Username: "shop", Password: "…"})
	defer client.Close()
	broker := redisevents.New(client, redisevents.Options{System: "shop"})
	defer broker.Close()
	app := &hanse.App{Broker: broker}
	_ = app // app.Main(orders.Service(), mailer.Service())
}
