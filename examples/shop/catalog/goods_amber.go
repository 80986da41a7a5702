package catalog

import "github.com/hanse-go/hanse/examples/shop/catalog/picture"

func amber() category {
	return category{
		id: "amber", name: "Amber & silver", harbour: "Danzig", ground: "#e2d9e0",
		summary: "Forty million years old, washed up last winter.",
		goods: []good{
			{
				id: "amber-drop-pendant", name: "Amber drop pendant", cents: 8900, grams: 90, origin: "Danzig", unit: "45 cm chain",
				summary:     "One clear drop, capped in silver.",
				description: "A single piece of cognac amber, cut as little as possible, in a cap of 925 silver. No two have the same light in them.",
				tags:        []string{"jewellery", "amber", "silver", "gift"},
				look:        picture.Spec{Motif: picture.Pendant, Main: "#d9861f", Accent: "#b9bec4"},
			},
			{
				id: "butterscotch-pendant", name: "Butterscotch pendant", cents: 9800, grams: 90, origin: "Danzig", unit: "45 cm chain",
				summary:     "Opaque amber, the kind that Danzig's guild kept for itself.",
				description: "Milky amber is full of bubbles too small to see. The guild of Danzig kept it for altars; we keep it for this.",
				tags:        []string{"jewellery", "amber", "silver", "gift"},
				look:        picture.Spec{Motif: picture.Pendant, Main: "#ecc76a", Accent: "#8d949b"},
			},
			{
				id: "amber-bead-bracelet", name: "Amber bead bracelet", cents: 6400, grams: 70, origin: "Königsberg", unit: "19 cm",
				summary:     "Beads from honey to cherry, on silk.",
				description: "Nineteen beads in the order in which amber darkens: lemon, honey, cognac, cherry. Knotted on silk, so that a broken thread costs one bead at most.",
				tags:        []string{"jewellery", "amber", "gift"},
				look:        picture.Spec{Motif: picture.Beads, Main: "#e5a834", Accent: "#7b2a1a"},
			},
			{
				id: "signet-ring", name: "Merchant's signet ring", cents: 12900, grams: 60, origin: "Lübeck", unit: "50 to 66",
				summary:     "Silver, with a house mark cut to your order.",
				description: "Merchants who could not write had marks: a few strokes that a knife could cut. Tell us three letters and we draw yours.",
				tags:        []string{"jewellery", "silver", "gift"},
				look:        picture.Spec{Motif: picture.Ring, Main: "#b7bdc3", Accent: "#6f777e"},
			},
			{
				id: "amber-ring", name: "Amber cabochon ring", cents: 7900, grams: 60, origin: "Danzig", unit: "50 to 62",
				summary:     "A round of cherry amber in a plain band.",
				description: "Warmed slowly in sand until it turned cherry, then polished to a dome. The band is plain so that nothing argues.",
				tags:        []string{"jewellery", "amber", "silver", "gift"},
				look:        picture.Spec{Motif: picture.Ring, Main: "#c9a14a", Accent: "#9d3418"},
			},
			{
				id: "amber-earrings", name: "Amber earrings", cents: 5600, grams: 50, origin: "Danzig", unit: "one pair",
				summary:     "Two drops from one stone.",
				description: "Cut from one piece, so that they match in colour and in their small flaws. 925 silver hooks.",
				tags:        []string{"jewellery", "amber", "silver", "gift"},
				look:        picture.Spec{Motif: picture.Earrings, Main: "#e0922a", Accent: "#aeb5bb"},
			},
			{
				id: "ring-brooch", name: "Gotland ring brooch", cents: 6700, grams: 80, origin: "Visby", unit: "4 cm",
				summary:     "A cloak pin after one from a Visby grave.",
				description: "An open ring with poppy-head ends and a long pin, cast in bronze after a find of the twelfth century. Holds any scarf.",
				tags:        []string{"jewellery", "bronze", "scarf", "gift"},
				look:        picture.Spec{Motif: picture.Brooch, Main: "#b08442", Accent: "#7a5827"},
			},
			{
				id: "amber-inclusion", name: "Amber with inclusion", cents: 24900, grams: 110, origin: "Königsberg", unit: "one, boxed",
				summary:     "A gnat that sat down too long, forty million years ago.",
				description: "A polished piece with one clear inclusion, chosen under the microscope. Comes in a box with a lens and a card that says who is inside.",
				tags:        []string{"amber", "curiosity", "gift"},
				look:        picture.Spec{Motif: picture.Inclusion, Main: "#dd9a2b", Accent: "#5e3410"},
			},
		},
	}
}
