package hanse

import (
	"errors"
	"fmt"
	"os"
	"strconv"
)

// lifelineEnv names the variable with the number of an inherited pipe (a handle on Windows). Whoever started the program holds the
// other end; the pipe ends when that process ends, even when it is killed, and the program then stops as if told to.
const lifelineEnv = "HANSE_LIFELINE"

var errLifelineEnded = errors.New("the process that started this one has ended (" + lifelineEnv + ")")

// watchLifeline calls ended when the pipe ends. It takes the variable out of the environment: the programs that this one starts do
// not inherit the pipe, and the number may mean something else there.
func (a *App) watchLifeline(value string, ended func()) error {
	if value == "" {
		return nil
	}
	os.Unsetenv(lifelineEnv)
	fd, err := strconv.ParseUint(value, 10, 0)
	if err != nil || fd < 3 {
		return fmt.Errorf("%s=%s: want the number of an inherited pipe", lifelineEnv, value)
	}
	keepFromChildren(uintptr(fd))
	pipe := os.NewFile(uintptr(fd), "lifeline")
	if pipe == nil {
		return fmt.Errorf("%s=%s: no such pipe", lifelineEnv, value)
	}
	if _, err := pipe.Stat(); err != nil {
		return fmt.Errorf("%s=%s: no such pipe: %w", lifelineEnv, value, err)
	}
	go func() { // until the process ends: a read of a pipe cannot be called off everywhere
		var b [1]byte
		for {
			if _, err := pipe.Read(b[:]); err != nil {
				ended()
				return
			}
		}
	}()
	return nil
}
