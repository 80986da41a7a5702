package collector

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
)

const (
	newestRecords = 20_000 // that are looked through for attributes
	mostValues    = 1000   // of an attribute that are counted
	longestValue  = 200    // bytes; longer ones nobody completes
)

// Attributes returns the attributes of the newest spans and lines, those of their programs included.
func (c *Collector) Attributes(ctx context.Context, q AttributeQuery) ([]AttributeKey, error) {
	keys := make(map[string]map[string]int)
	counts := make(map[string]int)
	add := func(a Attr) {
		if q.Key != "" && a.Key != q.Key || !strings.HasPrefix(a.Key, q.Prefix) {
			return
		}
		counts[a.Key]++
		v := valueText(a.Value)
		if len(v) > longestValue || q.Value != "" && !strings.HasPrefix(strings.ToLower(v), strings.ToLower(q.Value)) {
			return
		}
		if keys[a.Key] == nil {
			keys[a.Key] = make(map[string]int)
		}
		if _, ok := keys[a.Key][v]; ok || len(keys[a.Key]) < mostValues {
			keys[a.Key][v]++
		}
	}
	st := c.of().store
	for _, sig := range []signal{spans, logs} {
		if q.Signal != "" && q.Signal != sig.String() {
			continue
		}
		list, err := st.list(ctx, sig)
		if err != nil {
			return nil, err
		}
		num := 9
		if sig == logs {
			num = 6
		}
		for i, looked := len(list)-1, 0; i >= 0 && looked < newestRecords && ctx.Err() == nil; i-- {
			b := &list[i]
			content, err := st.content(ctx, b)
			if errors.Is(err, errGone) {
				continue
			}
			if err != nil {
				return nil, err
			}
			looked += b.count
			_ = records(content, func(at int, o *origin, raw []byte) bool { // one that is damaged is told where it is shown
				for f := (fields{rest: raw}); f.next(); {
					if int(f.num) == num {
						if a, err := readAttr(f.data); err == nil {
							add(a)
						}
					}
				}
				for _, a := range o.attrs {
					add(a)
				}
				return at < b.count
			})
		}
	}
	limit := orDefault(q.Limit, 20)
	out := make([]AttributeKey, 0, len(counts))
	for key, n := range counts {
		k := AttributeKey{Key: key, Count: n, Values: []AttributeValue{}}
		for v, n := range keys[key] {
			k.Values = append(k.Values, AttributeValue{v, n})
		}
		slices.SortFunc(k.Values, func(a, b AttributeValue) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
		})
		k.Values = k.Values[:min(limit, len(k.Values))]
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b AttributeKey) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Key, b.Key))
	})
	return out[:min(limit, len(out))], ctx.Err()
}
