package rpc

import (
	"math/rand/v2"

	"github.com/hanse-go/hanse/balancer"
)

func defaultPicker() balancer.Picker { return randomPicker{} }

type randomPicker struct{}

func (randomPicker) Pick(c []*balancer.Candidate) *balancer.Candidate { return c[rand.IntN(len(c))] }
