package shipping

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// destination is a country that parcels go to.
type destination struct {
	country, name string
	zone          int32
}

// destinations are sorted by zone, then by name.
var destinations = []destination{
	{"DE", "Germany", 1},

	{"AT", "Austria", 2}, {"BE", "Belgium", 2}, {"CZ", "Czechia", 2}, {"DK", "Denmark", 2}, {"FR", "France", 2},
	{"LU", "Luxembourg", 2}, {"NL", "Netherlands", 2}, {"PL", "Poland", 2},

	{"BG", "Bulgaria", 3}, {"HR", "Croatia", 3}, {"CY", "Cyprus", 3}, {"EE", "Estonia", 3}, {"FI", "Finland", 3}, {"GR", "Greece", 3},
	{"HU", "Hungary", 3}, {"IS", "Iceland", 3}, {"IE", "Ireland", 3}, {"IT", "Italy", 3}, {"LV", "Latvia", 3}, {"LT", "Lithuania", 3},
	{"MT", "Malta", 3}, {"NO", "Norway", 3}, {"PT", "Portugal", 3}, {"RO", "Romania", 3}, {"SK", "Slovakia", 3}, {"SI", "Slovenia", 3},
	{"ES", "Spain", 3}, {"SE", "Sweden", 3}, {"CH", "Switzerland", 3}, {"GB", "United Kingdom", 3},

	{"AU", "Australia", 4}, {"CA", "Canada", 4}, {"JP", "Japan", 4}, {"NZ", "New Zealand", 4}, {"SG", "Singapore", 4},
	{"KR", "South Korea", 4}, {"US", "United States", 4},
}

// maxParcel is the heaviest parcel that the carrier takes, in grams.
const maxParcel = 31_500

// bracket is what a parcel up to a weight costs to each zone, in cents.
type bracket struct {
	grams             int32
	standard, express [4]int64
}

var tariff = []bracket{
	{1_000, [4]int64{490, 890, 1290, 1990}, [4]int64{1190, 1990, 2690, 3990}},
	{2_000, [4]int64{590, 1090, 1590, 2990}, [4]int64{1290, 2290, 3190, 5490}},
	{5_000, [4]int64{690, 1390, 1990, 4690}, [4]int64{1490, 2790, 3890, 7990}},
	{10_000, [4]int64{990, 1890, 2690, 7490}, [4]int64{1890, 3590, 4990, 12900}},
	{maxParcel, [4]int64{1690, 2990, 4290, 14900}, [4]int64{2890, 5290, 7490, 24900}},
}

// days is how long a parcel travels to each zone.
var (
	standardDays = [4][2]int32{{1, 2}, {2, 4}, {3, 6}, {8, 14}}
	expressDays  = [4][2]int32{{1, 1}, {1, 2}, {2, 3}, {3, 5}}
)

// cost returns what goods of some weight cost to a zone, and in how many parcels they go: full ones first.
func cost(grams int32, zone int32) (standard, express int64, parcels int32) {
	for grams > 0 || parcels == 0 {
		parcel := min(grams, maxParcel)
		for _, b := range tariff {
			if parcel <= b.grams {
				standard += b.standard[zone-1]
				express += b.express[zone-1]
				break
			}
		}
		parcels++
		grams -= parcel
	}
	return standard, express, parcels
}

// trackingID returns the number that an order's shipment always gets: an S10 identifier of the Universal Postal Union, that is two
// letters, eight digits, a check digit and a country.
func trackingID(orderID string) string {
	sum := sha256.Sum256([]byte(orderID))
	serial := binary.BigEndian.Uint64(sum[:8]) % 100_000_000
	digits := fmt.Sprintf("%08d", serial)
	return fmt.Sprintf("KT%s%dDE", digits, checkDigit(digits))
}

func checkDigit(digits string) int {
	weights := [8]int{8, 6, 4, 2, 3, 5, 9, 7}
	sum := 0
	for i, w := range weights {
		sum += int(digits[i]-'0') * w
	}
	switch c := 11 - sum%11; c {
	case 10:
		return 0
	case 11:
		return 5
	default:
		return c
	}
}
