package resilience

import (
	"math"
	"time"
)

// lapses are the latest failures of an instance, with what had been counted when each began to be: so it can be said of any number of
// them among how many calls they were, and how the peers fared meanwhile.
type lapses struct {
	of [32]lapse
	n  int // ever
}

type lapse struct {
	at    time.Time
	own   int64 // calls of the instance up to it, without it
	peers tally // what its peers had done, a moment before it
}

func (l *lapses) add(x lapse) {
	l.of[l.n%len(l.of)] = x
	l.n++
}

// known is how many are kept.
func (l *lapses) known() int { return min(l.n, len(l.of)) }

// last returns the k-th last, from 1 to known.
func (l *lapses) last(k int) lapse { return l.of[(l.n-k)%len(l.of)] }

func (l *lapses) forget() { l.n = 0 }

// evidence tells how little k failures among n calls look like chance where each call fails with the probability p: they, or more, come
// with a probability of at most e^-evidence (Chernoff's bound).
func evidence(k, n int64, p float64) float64 {
	q := float64(k) / float64(n)
	if q <= p {
		return 0
	}
	e := q * math.Log(q/p)
	if q < 1 {
		e += (1 - q) * math.Log((1-q)/(1-p))
	}
	return float64(n) * e
}
