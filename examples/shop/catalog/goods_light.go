package catalog

import "github.com/hanse-go/hanse/examples/shop/catalog/picture"

func light() category {
	return category{
		id: "light", name: "Candles & wax", harbour: "Novgorod", ground: "#e9dfd0",
		summary: "Wax was the north's second currency. It still smells of summer.",
		goods: []good{
			{
				id: "beeswax-tapers", name: "Beeswax tapers", cents: 1650, grams: 260, origin: "Novgorod", unit: "pair, 30 cm",
				summary:     "Dipped thirty times, never cast.",
				description: "Pure beeswax on a braided cotton wick, dipped thirty times with an hour between. Nine hours each, without dripping when the air is still.",
				tags:        []string{"candle", "beeswax", "gift", "home"},
				look:        picture.Spec{Motif: picture.Tapers, Main: "#e0a63c", Accent: "#c4842a"},
			},
			{
				id: "beeswax-pillar", name: "Beeswax pillar", cents: 2490, grams: 620, origin: "Novgorod", unit: "7 × 14 cm",
				summary:     "Sixty hours of slow, gold light.",
				description: "Poured in two goes so that it burns level. Trim the wick to half a centimetre and give it three hours the first time.",
				tags:        []string{"candle", "beeswax", "home"},
				look:        picture.Spec{Motif: picture.Pillar, Main: "#d99a34", Accent: "#f3cf83"},
			},
			{
				id: "red-guild-pillar", name: "Guild pillar, red", cents: 2590, grams: 620, origin: "Lübeck", unit: "7 × 14 cm",
				summary:     "The same wax in the red of seals and brick.",
				description: "Beeswax coloured through with madder. Made for long tables in December.",
				tags:        []string{"candle", "beeswax", "home", "winter", "gift"},
				look:        picture.Spec{Motif: picture.Pillar, Main: "#9c3030", Accent: "#d46a5c"},
			},
			{
				id: "storm-lantern", name: "Storm lantern", cents: 7800, grams: 1650, origin: "Hamburg", unit: "26 cm",
				summary:     "Galvanised steel and thick glass; burns in force seven.",
				description: "A lantern as the lighters carried it, for lamp oil or a candle. Every part can be bought alone, the glass for six euros.",
				tags:        []string{"lantern", "brass", "home", "garden", "gift"},
				look:        picture.Spec{Motif: picture.Lantern, Main: "#3b4f5c", Accent: "#f2b84b"},
			},
			{
				id: "brass-chamberstick", name: "Brass chamberstick", cents: 4600, grams: 480, origin: "Nuremberg", unit: "one",
				summary:     "The one with the thumb ring, for the way upstairs.",
				description: "Spun from one disc of brass, with a rolled rim that catches drips. Not lacquered: it may go dark, or be polished, as you like.",
				tags:        []string{"candle", "brass", "home", "gift"},
				look:        picture.Spec{Motif: picture.Chamberstick, Main: "#cfa045", Accent: "#f1e4c2"},
			},
			{
				id: "sealing-wax", name: "Sealing wax & seal", cents: 2950, grams: 210, origin: "Reval", unit: "3 sticks, 1 seal",
				summary:     "Shellac wax, and a brass seal with a cog ship.",
				description: "Real shellac wax that breaks when it is opened, as it should. The seal shows a cog under sail, after the one that Stralsund used in 1329.",
				tags:        []string{"wax", "brass", "writing", "gift"},
				look:        picture.Spec{Motif: picture.Seal, Main: "#a32c2c", Accent: "#cfa045"},
			},
			{
				id: "tar-soap", name: "Pine tar soap", cents: 780, grams: 140, origin: "Visby", unit: "110 g bar",
				summary:     "Smells like a boat shed; gentle on hands.",
				description: "Olive and tallow soap with six in a hundred parts of kiln-burnt pine tar. The smell leaves within a minute; some regret it.",
				tags:        []string{"soap", "tar", "bath", "gift"},
				look:        picture.Spec{Motif: picture.Soap, Main: "#5b4634", Accent: "#e5cfa2", Text: "TEER"},
			},
			{
				id: "beeswax-polish", name: "Beeswax polish", cents: 1240, grams: 290, origin: "Danzig", unit: "200 ml tin",
				summary:     "Beeswax, linseed oil and a little larch, for wood and leather.",
				description: "Warm a little between the fingers, rub in, wait an hour, brush. Tables, boots, saddles and the odd guitar.",
				tags:        []string{"wax", "wood", "home", "tin"},
				look:        picture.Spec{Motif: picture.PolishTin, Main: "#c58a2c", Accent: "#2f3d36", Text: "WACHS"},
			},
		},
	}
}
