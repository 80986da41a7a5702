package catalog

import "github.com/hanse-go/hanse/examples/shop/catalog/picture"

func deck() category {
	return category{
		id: "deck", name: "Charts & instruments", harbour: "Bremen", ground: "#d8e0e4",
		summary: "To know where you are, and to write down that you were there.",
		goods: []good{
			{
				id: "pocket-compass", name: "Pocket compass", cents: 6900, grams: 240, origin: "Bremen", unit: "5 cm",
				summary:     "Brass, liquid-damped, with a lid that clicks.",
				description: "A jewelled needle in oil that settles in three seconds. The lid has a mirror inside, for bearings and for spinach.",
				tags:        []string{"instrument", "brass", "travel", "gift"},
				look:        picture.Spec{Motif: picture.Compass, Main: "#c59a45", Accent: "#9c2f2f"},
			},
			{
				id: "half-hour-glass", name: "Half-hour glass", cents: 5200, grams: 640, origin: "Nuremberg", unit: "18 cm",
				summary:     "Eight of these are a watch.",
				description: "Thirty minutes, give or take twenty seconds, of crushed eggshell: it runs more evenly than sand and never packs. Beech frame.",
				tags:        []string{"instrument", "glass", "wood", "home", "gift"},
				look:        picture.Spec{Motif: picture.Hourglass, Main: "#9a6a3e", Accent: "#e7cfa0"},
			},
			{
				id: "baltic-chart", name: "Chart of the Baltic", cents: 3900, grams: 280, origin: "Amsterdam", unit: "70 × 50 cm",
				summary:     "After Waghenaer's of 1585, printed from copper.",
				description: "Printed from a copper plate on cotton paper, after the sea atlas that made all pilots jealous. Comes rolled; not for navigation, as the sandbanks have moved.",
				tags:        []string{"chart", "paper", "home", "gift"},
				look:        picture.Spec{Motif: picture.Chart, Main: "#ecdfc2", Accent: "#2e6077"},
			},
			{
				id: "log-book", name: "Log book", cents: 2600, grams: 460, origin: "Bremen", unit: "192 pages, A5",
				summary:     "Thread-sewn, opens flat, survives spray.",
				description: "Ruled for date, hour, wind, course and remarks; nobody minds if you write poems. Cloth binding, numbered pages, 100 g paper that takes a fountain pen.",
				tags:        []string{"paper", "writing", "travel", "gift"},
				look:        picture.Spec{Motif: picture.Book, Main: "#23465c", Accent: "#d9b765", Text: "LOGBUCH"},
			},
			{
				id: "merchants-ledger", name: "Merchant's ledger", cents: 3100, grams: 620, origin: "Lübeck", unit: "240 pages, A5",
				summary:     "Two columns, one for what you owe.",
				description: "Double entry came to Lübeck late and stayed. Red cloth, marbled edge, two ribbons.",
				tags:        []string{"paper", "writing", "gift"},
				look:        picture.Spec{Motif: picture.Book, Main: "#8a2f2c", Accent: "#ead8ae", Text: "SOLL & HABEN"},
			},
			{
				id: "oak-gall-ink", name: "Oak gall ink", cents: 1250, grams: 210, origin: "Rostock", unit: "50 ml",
				summary:     "Writes pale, dries black, lasts for centuries.",
				description: "Galls, iron, gum arabic and wine, after a clerk's recipe of 1409. For dip pens; fountain pens do not forgive it.",
				tags:        []string{"writing", "ink", "gift"},
				look:        picture.Spec{Motif: picture.Ink, Main: "#232a3c", Accent: "#d8c59a", Text: "TINTE"},
			},
			{
				id: "hemp-rope-mat", name: "Hemp rope mat", cents: 4800, grams: 2100, origin: "Stralsund", unit: "60 × 40 cm",
				summary:     "An ocean plait, tied from forty metres of one rope.",
				description: "One rope, no end in sight. Tarred hemp for the front door, plain for indoors. Shake it out; never wash it.",
				tags:        []string{"rope", "home"},
				look:        picture.Spec{Motif: picture.RopeMat, Main: "#c2a066", Accent: "#8d6d3a"},
			},
			{
				id: "ships-bell", name: "Ship's bell", cents: 13900, grams: 2600, origin: "Apolda", unit: "15 cm",
				summary:     "Cast bell bronze, tuned to A, with a plaited lanyard.",
				description: "Four parts copper, one part tin, cast in loam as church bells are. Engraving of a name and a year is included.",
				tags:        []string{"instrument", "bronze", "rope", "home", "gift"},
				look:        picture.Spec{Motif: picture.Bell, Main: "#c8973c", Accent: "#efe6d2"},
			},
		},
	}
}
