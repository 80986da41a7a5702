package collector

import "google.golang.org/protobuf/encoding/protowire"

// texts calls add with all texts of a record in which words are looked for: names, messages, and values of attributes.
func texts(s signal, raw []byte, add func([]byte)) {
	f := fields{rest: raw}
	for f.next() {
		switch {
		case s == spans && f.message(5):
			add(f.data)
		case s == spans && f.message(9), s == logs && f.message(6):
			attrText(f.data, add)
		case s == logs && f.message(5):
			valueTexts(f.data, add)
		case s == logs && f.message(12):
			add(f.data)
		case s == spans && f.message(11):
			for e := (fields{rest: f.data}); e.next(); {
				switch {
				case e.message(2):
					add(e.data)
				case e.message(3):
					attrText(e.data, add)
				}
			}
		case s == spans && f.message(15):
			for e := (fields{rest: f.data}); e.next(); {
				if e.message(2) {
					add(e.data)
				}
			}
		}
	}
}

// attrText adds the value of an attribute.
func attrText(b []byte, add func([]byte)) {
	for f := (fields{rest: b}); f.next(); {
		if f.message(2) {
			valueTexts(f.data, add)
		}
	}
}

// valueTexts adds a value as it is written for people.
func valueTexts(b []byte, add func([]byte)) {
	f := fields{rest: b}
	if f.next() && f.num == 1 && f.typ == protowire.BytesType && len(f.rest) == 0 {
		add(f.data)
		return
	}
	if v, err := readValue(b, 0); err == nil {
		add([]byte(valueText(v)))
	}
}
