package systems

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strings"
)

// OfFolder names the system of the programs of a module, by the folder of its go.mod, when hanse dev runs none for it: they meet in the
// local registry of that name, and programs of another checkout do not.
func OfFolder(dir string) string {
	if real, err := realPath(dir); err == nil {
		dir = real
	}
	sum := sha256.Sum256([]byte(dir))
	base := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, filepath.Base(dir))
	return "in-" + base[:min(len(base), 40)] + "-" + hex.EncodeToString(sum[:6])
}
