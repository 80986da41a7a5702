package consuldiscovery

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hanse-go/hanse/discovery"
)

// The record of an instance is in the service's meta, cut into values that Consul allows: at most 64 pairs of keys of letters, digits,
// '-' and '_' and values of at most 512 bytes. The keys are hanse-record-0, hanse-record-1 and so on.
const (
	recordKey      = "hanse-record-"
	maxMetaValue   = 512
	maxRecordParts = 60 // the rest of the 64 is for who adds something
)

// writeMeta returns the instance as meta.
func writeMeta(inst discovery.Instance) (map[string]string, error) {
	record, err := inst.Record()
	if err != nil {
		return nil, err
	}
	meta := make(map[string]string)
	for rest := string(record); rest != ""; {
		cut := min(len(rest), maxMetaValue)
		for cut < len(rest) && !utf8.RuneStart(rest[cut]) {
			cut-- // half a character would not survive as JSON
		}
		meta[recordKey+strconv.Itoa(len(meta))] = rest[:cut]
		rest = rest[cut:]
	}
	if len(meta) > maxRecordParts {
		return nil, fmt.Errorf("the record has %d bytes, and Consul's meta holds about %d: announce less metadata or fewer contracts", len(record), maxRecordParts*maxMetaValue)
	}
	return meta, nil
}

// readMeta returns the instance of which the record is in meta; ok is false when there is none, as with services that others
// registered.
func readMeta(meta map[string]string) (inst discovery.Instance, ok bool, err error) {
	if _, ok := meta[recordKey+"0"]; !ok {
		return discovery.Instance{}, false, nil
	}
	var record strings.Builder
	for n := 0; ; n++ {
		part, ok := meta[recordKey+strconv.Itoa(n)]
		if !ok {
			break
		}
		record.WriteString(part)
	}
	inst, err = discovery.ParseRecord([]byte(record.String()))
	return inst, true, err
}
