package catalog

import "github.com/hanse-go/hanse/examples/shop/catalog/picture"

func table() category {
	return category{
		id: "table", name: "Stoneware & glass", harbour: "Lübeck", ground: "#dde2dc",
		summary: "Salt-glazed in the Westerwald, blown in the Weser hills.",
		goods: []good{
			{
				id: "kontor-mug", name: "Kontor mug", cents: 2200, grams: 430, origin: "Westerwald", unit: "0.3 l",
				summary:     "Grey stoneware, cobalt band, salt glaze.",
				description: "Thrown, not cast; fired once at 1,250 degrees with salt thrown into the kiln. The orange-peel skin is the salt's. Goes into the dishwasher like everything that outlives one.",
				tags:        []string{"mug", "stoneware", "kitchen", "gift", "tea", "coffee"},
				look:        picture.Spec{Motif: picture.Mug, Main: "#a9b1b4", Accent: "#254f8a"},
			},
			{
				id: "night-watch-mug", name: "Night watch mug", cents: 2400, grams: 460, origin: "Westerwald", unit: "0.35 l",
				summary:     "Dark glaze, wide foot, hard to knock over.",
				description: "A heavier mug with a foot wider than its rim, for tables that move. Iron-black outside, white within, so that you see how the tea stands.",
				tags:        []string{"mug", "stoneware", "kitchen", "tea", "coffee"},
				look:        picture.Spec{Motif: picture.Mug, Main: "#2f383d", Accent: "#c7772f"},
			},
			{
				id: "porridge-bowl", name: "Porridge bowl", cents: 1900, grams: 560, origin: "Westerwald", unit: "14 cm",
				summary:     "Deep, with a rim for the thumb.",
				description: "Holds half a litre and stays warm for as long as a second helping takes.",
				tags:        []string{"bowl", "stoneware", "kitchen", "breakfast"},
				look:        picture.Spec{Motif: picture.Bowl, Main: "#c6b79c", Accent: "#3f6a83"},
			},
			{
				id: "bellarmine-jug", name: "Bartmann jug", cents: 6400, grams: 1350, origin: "Cologne", unit: "1.2 l",
				summary:     "The bearded jug that every wreck in the North Sea carries.",
				description: "After a jug of about 1600, with the bearded face on its neck. Brown salt glaze, narrow neck, pours without a drop.",
				tags:        []string{"jug", "stoneware", "home", "gift"},
				look:        picture.Spec{Motif: picture.Jug, Main: "#8f6238", Accent: "#5f3d20"},
			},
			{
				id: "roemer-glass", name: "Roemer glass", cents: 3400, grams: 380, origin: "Weser Hills", unit: "one, 0.2 l",
				summary:     "Forest glass with raspberry prunts to hold on to.",
				description: "Mouth-blown in the green of wood-ash glass. The knobs on the stem, called prunts, were made for greasy fingers and still help.",
				tags:        []string{"glass", "home", "drink", "gift"},
				look:        picture.Spec{Motif: picture.Roemer, Main: "#8fb39a", Accent: "#5c8a70"},
			},
			{
				id: "ships-decanter", name: "Ship's decanter", cents: 8200, grams: 1700, origin: "Weser Hills", unit: "0.9 l",
				summary:     "A base as broad as the captain's patience.",
				description: "Blown thick and flat so that it stays put on a swell. The stopper is ground into its own neck and marked with the same number.",
				tags:        []string{"glass", "decanter", "home", "drink", "gift"},
				look:        picture.Spec{Motif: picture.Decanter, Main: "#a9c7d1", Accent: "#7a2f3c"},
			},
			{
				id: "salt-cellar", name: "Master salt cellar", cents: 4200, grams: 520, origin: "Lüneburg", unit: "one",
				summary:     "Porcelain-lined oak, with a lid that turns.",
				description: "A lidded box of quarter-sawn oak with a white cup inside. The lid swings on a brass pin, so that one hand is enough.",
				tags:        []string{"salt", "wood", "kitchen", "gift"},
				look:        picture.Spec{Motif: picture.SaltBox, Main: "#a67c4e", Accent: "#f2eee4"},
			},
			{
				id: "delft-tile-trivet", name: "Ship tile trivet", cents: 2700, grams: 610, origin: "Delft", unit: "15 × 15 cm",
				summary:     "Tin-glazed tile with a cog, painted by hand.",
				description: "Tin glaze and cobalt, painted before the firing, so every line stays as the brush left it. Cork underneath.",
				tags:        []string{"tile", "kitchen", "home", "gift"},
				look:        picture.Spec{Motif: picture.Tile, Main: "#f1f3f0", Accent: "#2b569a"},
			},
		},
	}
}
