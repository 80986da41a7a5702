package rundir

import (
	"os"
	"path/filepath"
	"runtime"
)

// State returns the path of a folder for what is to outlive its processes and the machine's next start, below hanse in the user's folder for such:
// $XDG_STATE_HOME or ~/.local/state, elsewhere that of the settings. It does not make it.
func State(elem ...string) (string, error) {
	dir := os.Getenv("XDG_STATE_HOME")
	switch {
	case filepath.IsAbs(dir):
	case runtime.GOOS == "windows" || runtime.GOOS == "darwin":
		settings, err := os.UserConfigDir()
		if err != nil {
			return "", err
		}
		dir = settings
	default:
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(append([]string{dir, "hanse"}, elem...)...), nil
}
