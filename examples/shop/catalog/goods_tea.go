package catalog

import "github.com/hanse-go/hanse/examples/shop/catalog/picture"

func tea() category {
	return category{
		id: "tea", name: "Tea & coffee", harbour: "Hamburg", ground: "#d9e4e1",
		summary: "Blended and roasted by the warehouses of the Speicherstadt.",
		goods: []good{
			{
				id: "east-frisian-blend", name: "East Frisian blend", cents: 1290, grams: 340, origin: "Leer", unit: "250 g tin",
				summary:     "Strong Assam with a dark copper cup, made for rock sugar and cream.",
				description: "Second-flush Assam from the Brahmaputra valley, with a little Java to round it. It is the tea that East Frisia drinks three times a day: poured over a piece of rock sugar, with a cloud of cream that nobody stirs.\n\nSteep four minutes. The tin keeps it fresh for a year.",
				tags:        []string{"tea", "black", "assam", "breakfast", "tin"},
				look:        picture.Spec{Motif: picture.Tin, Main: "#17405c", Accent: "#e3b55b", Text: "OSTFRIESEN"},
			},
			{
				id: "smoked-harbour-souchong", name: "Smoked harbour souchong", cents: 1450, grams: 240, origin: "Hamburg", unit: "150 g tin",
				summary:     "Lapsang dried over pine, like a quay in autumn.",
				description: "Leaves from the Wuyi hills, dried over pine fires and blended in Hamburg with a quarter of Keemun, so that the smoke carries the cup and does not fill it.\n\nGood with cheese, better with rain.",
				tags:        []string{"tea", "black", "smoked", "lapsang", "tin"},
				look:        picture.Spec{Motif: picture.Tin, Main: "#3b2f2f", Accent: "#c96f4a", Text: "SOUCHONG"},
			},
			{
				id: "captains-earl-grey", name: "Captain's Earl Grey", cents: 1180, grams: 180, origin: "Bremen", unit: "50 bags",
				summary:     "Ceylon with cold-pressed bergamot from Calabria.",
				description: "High-grown Ceylon and the oil of Calabrian bergamots, pressed cold and added the week it is packed. Each bag is folded, not glued, and has a cotton string.",
				tags:        []string{"tea", "black", "bergamot", "bags"},
				look:        picture.Spec{Motif: picture.Carton, Main: "#32576b", Accent: "#f0d58a", Text: "EARL GREY"},
			},
			{
				id: "sea-buckthorn-infusion", name: "Sea buckthorn infusion", cents: 890, grams: 150, origin: "Rügen", unit: "100 g pouch",
				summary:     "Berries from the Baltic dunes with apple and verbena.",
				description: "No tea in it at all: dried sea buckthorn from the dunes of Rügen, apple, lemon verbena and a little marigold. Tart, bright orange and kind to the evening.",
				tags:        []string{"infusion", "fruit", "caffeine-free", "pouch"},
				look:        picture.Spec{Motif: picture.Bag, Main: "#d9803a", Accent: "#fff1d6", Text: "SANDDORN"},
			},
			{
				id: "speicherstadt-espresso", name: "Speicherstadt espresso", cents: 1690, grams: 540, origin: "Hamburg", unit: "500 g beans",
				summary:     "Brazil and Sumatra, roasted slowly to cocoa and walnut.",
				description: "Drum-roasted for eighteen minutes in a brick warehouse on the Elbe. Two thirds Brazil, one third Sumatra: heavy, low in acid, with cocoa and walnut and a long finish.",
				tags:        []string{"coffee", "espresso", "beans"},
				look:        picture.Spec{Motif: picture.Bag, Main: "#5a3c2c", Accent: "#e8c79a", Text: "ESPRESSO"},
			},
			{
				id: "morning-watch-filter", name: "Morning watch filter coffee", cents: 1540, grams: 540, origin: "Bremen", unit: "500 g beans",
				summary:     "Washed Ethiopian and Guatemalan, light enough for a whole pot.",
				description: "For the watch from four to eight. A light roast of washed Yirgacheffe and Huehuetenango that stays clear while the pot stands: jasmine first, then red apple, then brown sugar.",
				tags:        []string{"coffee", "filter", "beans", "breakfast"},
				look:        picture.Spec{Motif: picture.Bag, Main: "#2e5d57", Accent: "#f2e3b8", Text: "FILTER"},
			},
			{
				id: "kluntje-rock-sugar", name: "Kluntje rock sugar", cents: 520, grams: 560, origin: "Leer", unit: "500 g box",
				summary:     "White rock sugar in pieces that crack when tea meets them.",
				description: "Grown on cotton threads for ten days, then broken by hand into pieces the size of a thumbnail. One is enough for three cups.",
				tags:        []string{"sugar", "tea", "larder"},
				look:        picture.Spec{Motif: picture.Carton, Main: "#e9eef0", Accent: "#4f86a3", Text: "KLUNTJE"},
			},
			{
				id: "roasters-hand-mill", name: "Roaster's hand mill", cents: 8900, grams: 1450, origin: "Hamburg", unit: "one mill",
				summary:     "Beech and brass, with a steel burr that can be ground again.",
				description: "A box mill as it stood on every counter of the coffee exchange. Oiled beech, a brass dome, a hardened steel burr with forty settings. Send the burr back after ten years and we grind it again for nothing.",
				tags:        []string{"coffee", "mill", "wood", "brass", "gift"},
				look:        picture.Spec{Motif: picture.Mill, Main: "#a9764a", Accent: "#d2a84e"},
			},
		},
	}
}
