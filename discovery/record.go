package discovery

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
)

// recordVersion is the number that a record carries. Fields may be added without changing it: readers keep what they do not know. A
// higher number says that older readers would misunderstand the record, and they leave it alone.
const recordVersion = 1

// ErrRecordVersion is returned by [ParseRecord] for a record that a newer, incompatible version wrote.
var ErrRecordVersion = errors.New("discovery: the record was written by a newer version of Hanse")

// instanceFields is Instance without methods, to be encoded field by field.
type instanceFields Instance

// Record returns the instance as registries store it: a JSON object with a version number and the instance's fields, those that an
// earlier [ParseRecord] did not know included.
func (i Instance) Record() ([]byte, error) {
	return encodeRecord(struct {
		Record int `json:"record"`
		instanceFields
	}{recordVersion, instanceFields(i)}, i.unknown)
}

// encodeRecord returns the record with the fields that an earlier decodeRecord did not know.
func encodeRecord(record any, unknown map[string]json.RawMessage) ([]byte, error) {
	known, err := json.Marshal(record)
	if err != nil || len(unknown) == 0 {
		return known, err
	}
	fields := maps.Clone(unknown)
	if err := json.Unmarshal(known, &fields); err != nil { // what is known wins
		return nil, err
	}
	return json.Marshal(fields)
}

// ParseRecord reads what [Instance.Record] wrote, in this version or another. It returns [ErrRecordVersion] for a record of an
// incompatible version.
func ParseRecord(data []byte) (Instance, error) {
	var known struct {
		Record int `json:"record"`
		instanceFields
	}
	unknown, err := decodeRecord(data, &known, recordFields)
	if err != nil {
		return Instance{}, err
	}
	inst := Instance(known.instanceFields)
	inst.unknown = unknown
	if err := CheckName(inst.Service); err != nil {
		return Instance{}, fmt.Errorf("discovery: malformed record: %w", err)
	}
	if err := checkID(inst.ID); err != nil {
		return Instance{}, fmt.Errorf("discovery: malformed record of %s: %w", inst.Service, err)
	}
	return inst, nil
}

// decodeRecord reads a record into known, which has the fields of those names, and returns the others.
func decodeRecord(data []byte, known any, names []string) (unknown map[string]json.RawMessage, err error) {
	if err := json.Unmarshal(data, &unknown); err != nil {
		return nil, fmt.Errorf("discovery: malformed record: %w", err)
	}
	var version struct {
		Record int `json:"record"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return nil, fmt.Errorf("discovery: malformed record: %w", err)
	}
	if version.Record > recordVersion {
		return nil, fmt.Errorf("%w (record %d, this one reads up to %d)", ErrRecordVersion, version.Record, recordVersion)
	}
	if version.Record < 1 {
		return nil, errors.New("discovery: malformed record: no record number")
	}
	if err := json.Unmarshal(data, known); err != nil {
		return nil, fmt.Errorf("discovery: malformed record: %w", err)
	}
	for _, name := range names {
		delete(unknown, name)
	}
	if len(unknown) == 0 {
		return nil, nil
	}
	return unknown, nil
}

// recordFields are the names that this version knows.
var recordFields = []string{
	"record", "service", "instance", "version", "state", "endpoints", "host", "authority", "zone", "weight", "pid", "admin",
	"started", "contracts", "metadata",
}
