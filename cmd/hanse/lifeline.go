package main

import (
	"context"
	"fmt"
	"io"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/process"
)

// whileParentLives returns a context that ends when the process that started this one does, if that has left a lifeline. It must come before
// hanse.FromEnv, which would end this process and not let it drain where there are no signals.
func whileParentLives(ctx context.Context, name string) (context.Context, context.CancelCauseFunc, error) {
	life, err := process.TakeLifeline()
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	if life != nil {
		go func() { // until the process ends
			io.Copy(io.Discard, life)
			cancel(fmt.Errorf("the process that started %s has ended", name))
		}()
	}
	return ctx, cancel, nil
}
