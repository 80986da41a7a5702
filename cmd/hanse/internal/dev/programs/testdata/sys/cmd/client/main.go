package main

import "github.com/hanse-go/hanse"

func main() {
	if _, err := connect(); err != nil {
		panic(err)
	}
}

func connect() (*hanse.App, error) { return hanse.FromEnv() }
