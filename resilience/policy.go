package resilience

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Policy says what the calls of one service are given. In each field 0 is the default and -1 is off. It is a plain value: copy it, and do
// not change one that is in use.
//
// A setting is looked for in the policy of the method, then of the contract, then of the service, and then in the same order in the
// policy of all services, named "". So a more specific policy needs to state only what is different. See [Resolve].
type Policy struct {
	// Timeout ends a unary call whose context has no deadline. The caller's own deadline is never changed. Default: 10 s.
	Timeout time.Duration

	Retry   Retry   // repeats calls that failed
	Hedge   Hedge   // sends slow calls a second time. Default: off
	Breaker Breaker // stops calling a service that fails
	Outlier Outlier // leaves out single instances that are worse than the others

	// Of the serving side, for each method by itself:
	Limit    Limit    // how many calls run at once when more would only make them slower
	Rate     Rate     // how many come in a time. Default: as many as like
	Bulkhead Bulkhead // how many run at once in any case. Default: as many as like

	Idempotency Idempotency // of the serving side: how long replies to calls with an idempotency key are kept

	// Methods are policies of single methods, "/shop.cart.v1.CartService/GetCart", and of whole contracts, "shop.cart.v1.CartService/*".
	// They have no Methods, and neither a Breaker nor an Outlier, which belong to the service.
	Methods map[string]Policy
}

// defaults are the numbers that the comments state.
func defaults() Policy {
	return Policy{
		Timeout: 10 * time.Second,
		Retry:   defaultRetry,
		Breaker: defaultBreaker,
		Outlier: defaultOutlier,
		Limit:   defaultLimit,

		Idempotency: defaultIdempotency,
	}
}

// Resolve returns what holds for the calls of one method of a service, with each default filled in and without Methods. policies are
// by service; "" is for all. fullMethod is "/contract/method", or "" for the service as a whole.
func Resolve(policies map[string]Policy, service, fullMethod string) Policy {
	var p Policy
	names := []string{service, ""}
	if service == "" {
		names = names[:1]
	}
	for _, name := range names {
		s := policies[name]
		if fullMethod != "" {
			p = under(p, s.Methods[fullMethod])
			p = under(p, s.Methods[contractKey(fullMethod)])
		}
		p = under(p, s)
	}
	p = under(p, defaults())
	p.Methods = nil
	return p
}

// contractKey returns the key of a contract's policy for one of its methods.
func contractKey(fullMethod string) string {
	s := strings.TrimPrefix(fullMethod, "/")
	return s[:max(strings.LastIndexByte(s, '/'), 0)] + "/*"
}

// under returns p with its zero fields taken from base, field by field, also within structs.
func under[T any](p, base T) T {
	fill(reflect.ValueOf(&p).Elem(), reflect.ValueOf(base))
	return p
}

func fill(p, base reflect.Value) {
	if p.Kind() == reflect.Struct {
		for i := range p.NumField() {
			if p.Type().Field(i).IsExported() {
				fill(p.Field(i), base.Field(i))
			}
		}
		return
	}
	if p.IsZero() {
		p.Set(base)
	}
}

// Check returns what is wrong with the policy, or nil.
func (p Policy) Check() error {
	errs := []error{
		notBelow("Timeout", p.Timeout),
		p.Retry.check(), p.Hedge.check(), p.Breaker.check(), p.Outlier.check(),
		p.Limit.check(), p.Rate.check(), p.Bulkhead.check(), p.Idempotency.check(),
	}
	for _, key := range slices.Sorted(maps.Keys(p.Methods)) {
		m := p.Methods[key]
		where := func(err error) error { return fmt.Errorf("in Methods[%q]: %w", key, err) }
		if !methodKey(key) {
			errs = append(errs, where(errors.New(`the key is neither "/contract/Method" nor "contract/*"`)))
		}
		if m.Methods != nil {
			errs = append(errs, where(errors.New("a method's policy has no Methods of its own")))
			m.Methods = nil
		}
		if m.Breaker != (Breaker{}) || m.Outlier != (Outlier{}) || m.Retry.Budget != 0 {
			errs = append(errs, where(errors.New("Breaker, Outlier and Retry.Budget belong to the service: set them in its own policy")))
		}
		if err := m.Check(); err != nil {
			errs = append(errs, where(err))
		}
	}
	return errors.Join(errs...)
}

// methodKey reports whether s has the form of a key of Methods.
func methodKey(s string) bool {
	contract, method, ok := strings.Cut(strings.TrimPrefix(s, "/"), "/")
	if !ok || contract == "" || method == "" || strings.Contains(method, "/") {
		return false
	}
	return strings.HasPrefix(s, "/") != (method == "*")
}

// notBelow refuses negative numbers other than -1.
func notBelow[N int | time.Duration](name string, n N) error {
	if n < -1 {
		return fmt.Errorf("%s is %v: it is 0 for the default, -1 for off, or more", name, n)
	}
	return nil
}

func percent(name string, n int) error {
	if n > 100 {
		return fmt.Errorf("%s is %d: it is a percentage, so at most 100", name, n)
	}
	return notBelow(name, n)
}

// positive refuses what has no meaning when it is off.
func positive[N int | time.Duration](name string, n N) error {
	if n < 0 {
		return fmt.Errorf("%s is %v: it is 0 for the default, or more", name, n)
	}
	return nil
}
