package load

import (
	"math/rand/v2"
	"sync"
)

// pace is how many requests a visitor makes in a second. People are slower; so few of them make the same stream with shorter visits.
const pace = 50

// crowd is the visitors in the shop. When all of them wait for an answer, another one comes in: no request waits for a visitor.
type crowd struct {
	shop *shop
	size int // who leaves is replaced up to here

	mu     sync.Mutex
	random *rand.Rand
	inside int
	idle   []*visitor // in the order of their turns
}

func newCrowd(s *shop, rate int, seed uint64) *crowd {
	return &crowd{shop: s, size: max(rate/pace, 1), random: rand.New(rand.NewPCG(seed, 0))}
}

// next takes the visitor whose turn it is.
func (c *crowd) next() *visitor {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.idle) == 0 || c.inside < c.size {
		c.inside++
		return newVisitor(c.shop, rand.New(rand.NewPCG(c.random.Uint64(), 0)))
	}
	v := c.idle[0]
	c.idle = c.idle[1:]
	return v
}

// back gives a visitor back who has got an answer.
func (c *crowd) back(v *visitor) {
	if len(v.plan) == 0 {
		c.left()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = append(c.idle, v)
}

// left is told when a visitor does not come back.
func (c *crowd) left() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inside--
}
