package catalog

import "github.com/hanse-go/hanse/examples/shop/catalog/picture"

func spices() category {
	return category{
		id: "spices", name: "Spices & salt", harbour: "Lüneburg", ground: "#eadfcd",
		summary: "The white gold that paid for the brick towers, and what came back for it.",
		goods: []good{
			{
				id: "lueneburg-pan-salt", name: "Lüneburg pan salt", cents: 690, grams: 320, origin: "Lüneburg", unit: "250 g sack",
				summary:     "Boiled from brine of the old spring, in flat lead-free pans.",
				description: "The spring under Lüneburg is nearly saturated: a quarter of it is salt. We boil it slowly in open pans, skim the flakes and dry them on linen. A thousand years ago this sack would have bought a week of herring.",
				tags:        []string{"salt", "flakes", "sack", "kitchen"},
				look:        picture.Spec{Motif: picture.Sack, Main: "#efe7d6", Accent: "#8d3b34", Text: "SALZ"},
			},
			{
				id: "smoked-alder-salt", name: "Alder-smoked salt", cents: 790, grams: 210, origin: "Lüneburg", unit: "140 g jar",
				summary:     "Pan salt over smouldering alder for two days.",
				description: "The same flakes as our pan salt, turned by hand over smouldering alder for forty-eight hours. On butter, on eggs, on anything that was never near a fire.",
				tags:        []string{"salt", "smoked", "jar", "kitchen"},
				look:        picture.Spec{Motif: picture.Jar, Main: "#8a7f74", Accent: "#c9a26b", Text: "RAUCH"},
			},
			{
				id: "long-pepper", name: "Long pepper", cents: 1120, grams: 130, origin: "Bruges", unit: "60 g jar",
				summary:     "The pepper that medieval Europe knew first: sweet, hot, with a hint of pine.",
				description: "Before round pepper there was this. Catkins of Piper longum from Java, warm as cinnamon and hotter than they seem. Grate it over game, strawberries or hard cheese.",
				tags:        []string{"pepper", "spice", "jar"},
				look:        picture.Spec{Motif: picture.Jar, Main: "#4b3327", Accent: "#d9b382", Text: "PIPER"},
			},
			{
				id: "grains-of-paradise", name: "Grains of paradise", cents: 990, grams: 120, origin: "Antwerp", unit: "50 g jar",
				summary:     "Small red seeds with cardamom, citrus and a slow heat.",
				description: "Seeds of a West African ginger that came north by way of Lisbon and Antwerp, and seasoned the beer of every Hanseatic town. Crush them just before use.",
				tags:        []string{"spice", "jar", "brewing"},
				look:        picture.Spec{Motif: picture.Jar, Main: "#8b3d2c", Accent: "#e8d3a8", Text: "PARADIES"},
			},
			{
				id: "mustard-seed-hanseat", name: "Hanseat mustard", cents: 640, grams: 380, origin: "Rostock", unit: "210 g crock",
				summary:     "Coarse mustard with cider vinegar and a spoon of honey.",
				description: "Brown and yellow seeds from Mecklenburg, ground wet between stones so that they stay cool and sharp. Rests six weeks before it leaves the cellar.",
				tags:        []string{"mustard", "crock", "kitchen"},
				look:        picture.Spec{Motif: picture.Crock, Main: "#cfc3ae", Accent: "#3d5a73", Text: "SENF"},
			},
			{
				id: "gingerbread-spice", name: "Gingerbread spice", cents: 730, grams: 140, origin: "Lübeck", unit: "70 g tin",
				summary:     "Nine spices for nine dozen biscuits.",
				description: "Cinnamon, clove, star anise, coriander, cardamom, mace, allspice, ginger and orange peel. The tin holds enough for a whole Advent and the recipe is inside the lid.",
				tags:        []string{"spice", "baking", "tin", "winter", "gift"},
				look:        picture.Spec{Motif: picture.Tin, Main: "#7c2f2a", Accent: "#efcf9a", Text: "LEBKUCHEN"},
			},
			{
				id: "caraway-of-the-vierlande", name: "Vierlande caraway", cents: 480, grams: 110, origin: "Hamburg", unit: "80 g pouch",
				summary:     "Biennial caraway from the marshes behind the dyke.",
				description: "Caraway that stood two years in heavy marsh soil before it was cut: fewer seeds, twice the oil. For rye, cabbage and clear spirits.",
				tags:        []string{"spice", "baking", "pouch"},
				look:        picture.Spec{Motif: picture.Sack, Main: "#d8c7a3", Accent: "#55683f", Text: "KÜMMEL"},
			},
			{
				id: "merchants-pepper-mill", name: "Merchant's pepper mill", cents: 5400, grams: 520, origin: "Lübeck", unit: "one mill",
				summary:     "Turned bog oak with a ceramic grinder.",
				description: "Turned from oak that lay in a Baltic bog for some two thousand years and went black and hard there. The grinder is ceramic and does not mind salt.",
				tags:        []string{"pepper", "mill", "wood", "gift", "kitchen"},
				look:        picture.Spec{Motif: picture.PepperMill, Main: "#3f332c", Accent: "#c8a35a"},
			},
		},
	}
}
