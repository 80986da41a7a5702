package main

import "context"

func sixty(ctx context.Context, env *environment) (*section, error) { return nil, nil }
func dev(ctx context.Context, env *environment) (*section, error) { return nil, nil }
func purchase(ctx context.Context, env *environment) (*section, error) { return nil, nil }
