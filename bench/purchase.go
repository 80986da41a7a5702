package main

import "context"

func purchase(ctx context.Context, env *environment) (*section, error) { return nil, nil }
