package stubs

type Client struct{}
