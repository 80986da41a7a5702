package oidc

// Remembered returns how many tokens a Verifier remembers.
func Remembered(v *Verifier) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.verified)
}
