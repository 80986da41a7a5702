package lease

import "encoding/json"

// Contents returns what the records of a folder say, of those that keep wants, in no order. One whose content is not JSON for T is passed over: it may be of another version.
func Contents[T any](d Dir, keep func(*T) bool) ([]T, error) {
	records, err := d.List()
	if err != nil {
		return nil, err
	}
	var all []T
	for _, r := range records {
		var v T
		if json.Unmarshal(r.Content, &v) == nil && keep(&v) {
			all = append(all, v)
		}
	}
	return all, nil
}
