package lasting

import (
	"os"

	"github.com/hanse-go/hanse/dashboard"
)

// Token returns the token of the dashboard that the file has, so that a page that is still open goes on; without one, a new one. The error is that
// it will be another one in the next run; the token is good.
func Token(file string) (string, error) {
	if text, err := os.ReadFile(file); err == nil && len(text) >= 20 {
		return string(text), nil
	}
	token := dashboard.NewToken()
	return token, os.WriteFile(file, []byte(token), 0o600)
}
