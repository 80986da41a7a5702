package catalog

import "github.com/hanse-go/hanse/examples/shop/catalog/picture"

func wool() category {
	return category{
		id: "wool", name: "Wool & linen", harbour: "Bruges", ground: "#e4dcd8",
		summary: "English fleece, Flemish looms, Baltic flax.",
		goods: []good{
			{
				id: "flanders-blanket", name: "Flanders blanket", cents: 18900, grams: 1900, origin: "Bruges", unit: "140 × 200 cm",
				summary:     "Lambswool woven double, with three stripes and a short fringe.",
				description: "Woven in two layers on a loom from 1926 and washed in soft water until the layers close. Warm without weight; the stripes tell the size, as they did when blankets were traded by points.",
				tags:        []string{"blanket", "wool", "home", "winter", "gift"},
				look:        picture.Spec{Motif: picture.Blanket, Main: "#e8dfcf", Accent: "#8c2f39"},
			},
			{
				id: "north-sea-blanket", name: "North Sea blanket", cents: 18900, grams: 1900, origin: "Bruges", unit: "140 × 200 cm",
				summary:     "The same cloth in the grey of a January sea.",
				description: "Undyed fleece of grey Gotland sheep, woven double and fulled. Each fleece is another grey, so each blanket is.",
				tags:        []string{"blanket", "wool", "home", "winter"},
				look:        picture.Spec{Motif: picture.Blanket, Main: "#7f8f98", Accent: "#27414f"},
			},
			{
				id: "fishermans-jumper", name: "Fisherman's jumper", cents: 14900, grams: 980, origin: "Wismar", unit: "S to XXL",
				summary:     "Knitted in one piece, so tight that rain thinks twice.",
				description: "Five-ply worsted, knitted in the round without a seam, with gussets under the arms. The pattern on the yoke is a harbour's own: this is Wismar's.",
				tags:        []string{"clothes", "wool", "winter"},
				look:        picture.Spec{Motif: picture.Jumper, Main: "#1f3e5a", Accent: "#e6d7b9"},
			},
			{
				id: "pilots-cap", name: "Pilot's knitted cap", cents: 3200, grams: 120, origin: "Emden", unit: "one size",
				summary:     "Merino, rolled brim, long enough for both ears.",
				description: "Two-ply merino in a fisherman's rib. Roll it once for the pier and not at all for the boat.",
				tags:        []string{"clothes", "wool", "winter", "gift"},
				look:        picture.Spec{Motif: picture.Cap, Main: "#b5462f", Accent: "#8d3220"},
			},
			{
				id: "herringbone-scarf", name: "Herringbone scarf", cents: 6900, grams: 260, origin: "London", unit: "30 × 180 cm",
				summary:     "Shetland wool in the weave that fishbones taught weavers.",
				description: "Undyed Shetland in two natural shades, woven as herringbone and finished with a hand-rolled fringe.",
				tags:        []string{"clothes", "wool", "scarf", "winter", "gift"},
				look:        picture.Spec{Motif: picture.Scarf, Main: "#6c7f6d", Accent: "#e3ddc8"},
			},
			{
				id: "deckhand-socks", name: "Deckhand socks", cents: 2400, grams: 150, origin: "Riga", unit: "one pair",
				summary:     "Thick wool with a heel that can be knitted anew.",
				description: "Latvian wool with a little nylon in heel and toe, and a coloured thread where the heel begins, so that a new one can be knitted in.",
				tags:        []string{"clothes", "wool", "socks", "winter"},
				look:        picture.Spec{Motif: picture.Socks, Main: "#e5d9c3", Accent: "#35576a"},
			},
			{
				id: "linen-tea-towels", name: "Linen tea towels", cents: 2800, grams: 280, origin: "Riga", unit: "set of two",
				summary:     "Baltic flax, half-bleached, with an indigo stripe.",
				description: "Long-fibre flax from Latgale, spun wet. Stiff for a week, soft for twenty years. 50 × 70 cm, with a loop that does not come off.",
				tags:        []string{"linen", "kitchen", "home", "gift"},
				look:        picture.Spec{Motif: picture.Towel, Main: "#efe8d8", Accent: "#2f5d86"},
			},
			{
				id: "sailcloth-bag", name: "Sailcloth bag", cents: 5900, grams: 640, origin: "Stralsund", unit: "28 litres",
				summary:     "Waxed flax canvas with rope handles.",
				description: "Number four sailcloth, waxed, sewn with a sailmaker's lock stitch. The handles are spliced hemp. Stands by itself and does not mind a wet floor.",
				tags:        []string{"bag", "linen", "rope", "home"},
				look:        picture.Spec{Motif: picture.Tote, Main: "#c9b994", Accent: "#5d4630"},
			},
		},
	}
}
