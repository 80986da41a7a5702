package hpack_test

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/internal/hpack"
)

// rfcBlock is one example of RFC 7541 appendix C.
type rfcBlock struct {
	hex   string
	list  string // "name: value" lines
	table string // the dynamic table after it, newest first
}

// TestRFC decodes the examples of RFC 7541 appendix C, and reads the dynamic table after each of them.
func TestRFC(t *testing.T) {
	for _, c := range []struct {
		name   string
		table  uint64 // size; 0: as it is at first
		blocks []rfcBlock
	}{
		{name: "C.2.1 literal with indexing", blocks: []rfcBlock{{
			"400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", "custom-key: custom-header", "custom-key: custom-header",
		}}},
		{name: "C.2.2 literal without indexing", blocks: []rfcBlock{{
			"040c 2f73 616d 706c 652f 7061 7468", ":path: /sample/path", "",
		}}},
		{name: "C.2.3 literal never indexed", blocks: []rfcBlock{{
			"1008 7061 7373 776f 7264 0673 6563 7265 74", "password: secret (sensitive)", "",
		}}},
		{name: "C.2.4 indexed", blocks: []rfcBlock{{"82", ":method: GET", ""}}},
		{name: "C.3 requests", blocks: []rfcBlock{
			{"8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", requests[0].list, requests[0].table},
			{"8286 84be 5808 6e6f 2d63 6163 6865", requests[1].list, requests[1].table},
			{"8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65", requests[2].list, requests[2].table},
		}},
		{name: "C.4 requests with Huffman coding", blocks: []rfcBlock{
			{"8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", requests[0].list, requests[0].table},
			{"8286 84be 5886 a8eb 1064 9cbf", requests[1].list, requests[1].table},
			{"8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", requests[2].list, requests[2].table},
		}},
		{name: "C.5 responses", table: 256, blocks: []rfcBlock{
			{"4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", responses[0].list, responses[0].table},
			{"4803 3330 37c1 c0bf", responses[1].list, responses[1].table},
			{"88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31", responses[2].list, responses[2].table},
		}},
		{name: "C.6 responses with Huffman coding", table: 256, blocks: []rfcBlock{
			{"4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3", responses[0].list, responses[0].table},
			{"4883 640e ffc1 c0bf", responses[1].list, responses[1].table},
			{"88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07", responses[2].list, responses[2].table},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := hpack.NewDecoder(4096, 0)
			if c.table == 256 {
				decode(t, d, []byte{0x3f, 0xe1, 0x01})
			}
			for i, b := range c.blocks {
				block, err := hex.DecodeString(strings.ReplaceAll(b.hex, " ", ""))
				if err != nil {
					t.Fatal(err)
				}
				if got := lines(decode(t, d, block)); got != b.list {
					t.Errorf("block %d: got\n%s\nwant\n%s", i+1, got, b.list)
				}
				if got := lines(dynamic(t, d)); got != b.table {
					t.Errorf("table after block %d: got\n%s\nwant\n%s", i+1, got, b.table)
				}
			}
		})
	}
}

var requests = []rfcBlock{
	{list: ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com",
		table: ":authority: www.example.com"},
	{list: ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\ncache-control: no-cache",
		table: "cache-control: no-cache\n:authority: www.example.com"},
	{list: ":method: GET\n:scheme: https\n:path: /index.html\n:authority: www.example.com\ncustom-key: custom-value",
		table: "custom-key: custom-value\ncache-control: no-cache\n:authority: www.example.com"},
}

var responses = []rfcBlock{
	{list: ":status: 302\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\nlocation: https://www.example.com",
		table: "location: https://www.example.com\ndate: Mon, 21 Oct 2013 20:13:21 GMT\ncache-control: private\n:status: 302"},
	{list: ":status: 307\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\nlocation: https://www.example.com",
		table: ":status: 307\nlocation: https://www.example.com\ndate: Mon, 21 Oct 2013 20:13:21 GMT\ncache-control: private"},
	{list: ":status: 200\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:22 GMT\nlocation: https://www.example.com\ncontent-encoding: gzip\nset-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
		table: "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1\ncontent-encoding: gzip\ndate: Mon, 21 Oct 2013 20:13:22 GMT"},
}

// decode decodes a block that must be right.
func decode(t testing.TB, d *hpack.Decoder, block []byte) []hpack.Field {
	t.Helper()
	b, err := d.Decode(block)
	if err != nil {
		t.Fatalf("Decode(%.40x…): %v", block, err)
	}
	return slices.Concat(b.Run.Fields, b.Rest)
}

// dynamic reads the dynamic table through the indices from 62 on.
func dynamic(t testing.TB, d *hpack.Decoder) (fields []hpack.Field) {
	t.Helper()
	for i := 62; i < 127; i++ {
		// A decoder is done with after an error, but this one changes nothing.
		b, err := d.Decode([]byte{0x80 | byte(i)})
		if err != nil {
			break
		}
		fields = append(fields, b.Run.Fields...)
	}
	return fields
}

func lines(fields []hpack.Field) string {
	var out []string
	for _, f := range fields {
		line := f.Name + ": " + f.Value
		if f.Sensitive {
			line += " (sensitive)"
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}
