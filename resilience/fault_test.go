package resilience_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/resilience"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func TestWhomFaultsStrike(t *testing.T) {
	ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("user", "eve", "user", "bob"))
	for _, test := range []struct {
		fault  resilience.Fault
		method string
		struck bool
	}{
		{resilience.Fault{}, "/shop.Cart/Get", true},
		{resilience.Fault{}, "/grpc.health.v1.Health/Check", false},
		{resilience.Fault{Method: "/grpc.health.v1.Health/Check"}, "/grpc.health.v1.Health/Check", true},
		{resilience.Fault{Method: "/shop.Cart/Get"}, "/shop.Cart/Get", true},
		{resilience.Fault{Method: "/shop.Cart/Get"}, "/shop.Cart/Put", false},
		{resilience.Fault{Method: "shop.Cart/*"}, "/shop.Cart/Put", true},
		{resilience.Fault{Method: "shop.Cart/*"}, "/shop.Card/Put", false},
		{resilience.Fault{Metadata: map[string]string{"User": "eve"}}, "/shop.Cart/Get", true},
		{resilience.Fault{Metadata: map[string]string{"user": "bob"}}, "/shop.Cart/Get", true},
		{resilience.Fault{Metadata: map[string]string{"user": ""}}, "/shop.Cart/Get", true},
		{resilience.Fault{Metadata: map[string]string{"user": "al"}}, "/shop.Cart/Get", false},
		{resilience.Fault{Metadata: map[string]string{"user": "eve", "day": ""}}, "/shop.Cart/Get", false},
	} {
		var s resilience.Faults
		var counts resilience.Counts
		test.fault.Error = codes.DataLoss
		if _, err := s.Add(test.fault); err != nil {
			t.Fatal(err)
		}
		lose, err := s.Strike(ctx, test.method, &counts)
		if struck := status.Code(err) == codes.DataLoss; struck != test.struck || lose || (counts.Of(resilience.FaultFailed) == 1) != test.struck {
			t.Errorf("%+v, %s: %v, %v", test.fault, test.method, err, counts.All())
		}
	}
}

func TestFaultsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s resilience.Faults
		var counts resilience.Counts
		strike := func() error { _, err := s.Strike(t.Context(), "/a/B", &counts); return err }
		if s.Active() || strike() != nil {
			t.Error("there is a fault in the beginning")
		}
		first, _ := s.Add(resilience.Fault{Error: codes.Aborted})
		second, err := s.Add(resilience.Fault{Error: codes.DataLoss, For: 2 * time.Minute})
		if err != nil || first == second {
			t.Fatal(first, second, err)
		}
		if err := strike(); status.Code(err) != codes.Aborted {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		if err := strike(); status.Code(err) != codes.DataLoss {
			t.Error(err)
		}
		if all := s.State(); len(all) != 1 || all[0].ID != second || all[0].Left != time.Minute || all[0].Calls != 1 || all[0].Error != "DataLoss" {
			t.Errorf("%+v", all)
		}
		if s.Stop(first) || !s.Stop(second) || s.Active() || strike() != nil {
			t.Error("it was not stopped")
		}
		s.Add(resilience.Fault{Delay: time.Second})
		began := time.Now()
		if err := strike(); err != nil || time.Since(began) != time.Second {
			t.Error(err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := s.Strike(ctx, "/a/B", &counts); status.Code(err) != codes.DeadlineExceeded {
			t.Error(err)
		}
		s.Add(resilience.Fault{Lose: true})
		if lose, err := s.Strike(t.Context(), "/a/B", &counts); !lose || err != nil {
			t.Error(lose, err)
		}
		if n := s.StopAll(); n != 2 || s.Active() {
			t.Errorf("%d were stopped", n)
		}
		s.Add(resilience.Fault{Lose: true})
		time.Sleep(time.Hour)
		strike()
		if s.Active() {
			t.Error("what has ended costs calls something")
		}
	})
}

func TestFaultsStrikeTheirShare(t *testing.T) {
	var s resilience.Faults
	var counts resilience.Counts
	s.Add(resilience.Fault{Error: codes.Aborted, Percent: 30})
	for range 10_000 {
		s.Strike(t.Context(), "/a/B", &counts)
	}
	if n := s.State()[0].Calls; n < 2700 || n > 3300 { // over six standard deviations
		t.Errorf("%d of 10000 were struck", n)
	}
}

func TestMistakesInFaults(t *testing.T) {
	for _, f := range []resilience.Fault{
		{}, {Delay: -1}, {Error: 17}, {Error: codes.Aborted, Lose: true}, {Lose: true, Percent: -1}, {Lose: true, Percent: 101},
		{Lose: true, For: -1}, {Lose: true, For: time.Hour + 1}, {Lose: true, Method: "Get"}, {Lose: true, Method: "shop.Cart/Get"},
	} {
		var s resilience.Faults
		if _, err := s.Add(f); err == nil {
			t.Errorf("%+v was accepted", f)
		}
	}
}
