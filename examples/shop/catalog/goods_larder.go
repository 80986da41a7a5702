package catalog

import "github.com/hanse-go/hanse/examples/shop/catalog/picture"

func larder() category {
	return category{
		id: "larder", name: "Larder", harbour: "Bergen", ground: "#dbe3ea",
		summary: "What keeps on a voyage: dried, smoked, tinned and candied.",
		goods: []good{
			{
				id: "lofoten-stockfish", name: "Lofoten stockfish", cents: 3450, grams: 620, origin: "Bergen", unit: "500 g, one fish",
				summary:     "Cod dried by wind alone, from February to June.",
				description: "Nothing but cod and air. Hung in pairs on wooden racks above the Arctic Circle until it rings like wood. Soak for three days, then cook it gently with oil and potatoes.",
				tags:        []string{"fish", "dried", "stockfish"},
				look:        picture.Spec{Motif: picture.Stockfish, Main: "#d9c39a", Accent: "#8a6b43"},
			},
			{
				id: "sprats-in-rapeseed-oil", name: "Smoked sprats in oil", cents: 590, grams: 190, origin: "Riga", unit: "160 g tin",
				summary:     "Small Baltic sprats, smoked over alder, laid head to tail.",
				description: "Laid by hand, head to tail, under cold-pressed rapeseed oil. Black bread, butter, a slice of lemon: that is all it asks for.",
				tags:        []string{"fish", "smoked", "tin"},
				look:        picture.Spec{Motif: picture.FishTin, Main: "#c9973f", Accent: "#1f3f57", Text: "SPROTTEN"},
			},
			{
				id: "herring-in-dill", name: "Matjes herring with dill", cents: 640, grams: 210, origin: "Glückstadt", unit: "180 g tin",
				summary:     "Young herring, ripened in oak, with dill and mustard seed.",
				description: "Caught in May before they spawn, ripened in brine and oak, cut into fillets and packed with dill, onion and mustard seed.",
				tags:        []string{"fish", "herring", "tin"},
				look:        picture.Spec{Motif: picture.FishTin, Main: "#3f7086", Accent: "#f3e6c4", Text: "MATJES"},
			},
			{
				id: "luebeck-marzipan", name: "Lübeck marzipan", cents: 1480, grams: 360, origin: "Lübeck", unit: "16 pieces",
				summary:     "Two thirds almonds, as the guild's rule has it.",
				description: "Ninety parts marzipan mass, ten parts sugar: stricter than the law and as strict as the guild. Made from Sicilian almonds with a few bitter ones, coated by hand in dark chocolate.",
				tags:        []string{"sweet", "marzipan", "chocolate", "gift", "winter"},
				look:        picture.Spec{Motif: picture.Sweets, Main: "#7d2e3a", Accent: "#f1d9b0"},
			},
			{
				id: "heather-honey", name: "Heather honey", cents: 1190, grams: 780, origin: "Lüneburg Heath", unit: "500 g jar",
				summary:     "So thick that it has to be pressed from the comb.",
				description: "From hives that spend August in the heath. It sets like jelly, tastes of caramel and a little of bitter orange, and cannot be spun: every jar is pressed.",
				tags:        []string{"honey", "sweet", "breakfast", "jar"},
				look:        picture.Spec{Motif: picture.HoneyJar, Main: "#c77f1e", Accent: "#f7e3b1", Text: "HEIDE"},
			},
			{
				id: "ships-rye-crispbread", name: "Ship's rye crispbread", cents: 450, grams: 330, origin: "Visby", unit: "280 g, 6 rounds",
				summary:     "Round, with the hole that once hung it from a beam.",
				description: "Whole rye, water, salt and a sourdough that is older than the bakery. Baked on stone for eight minutes and dried for a day. Keeps until the next season.",
				tags:        []string{"bread", "rye", "breakfast"},
				look:        picture.Spec{Motif: picture.Crispbread, Main: "#b98752", Accent: "#8a5c31"},
			},
			{
				id: "aquavit-linie", name: "Kontor aquavit", cents: 3290, grams: 1250, origin: "Bergen", unit: "0.5 l bottle",
				summary:     "Caraway and dill, eighteen months in sherry casks at sea.",
				description: "Casks on deck, there and back over the line: the ship's roll and the change of air do what a cellar takes ten years for. 41.5% by volume. For those over eighteen, and cold.",
				tags:        []string{"drink", "caraway", "bottle", "gift"},
				look:        picture.Spec{Motif: picture.Bottle, Main: "#d9b45f", Accent: "#22384a", Text: "AQUAVIT"},
			},
			{
				id: "sloe-cordial", name: "Sloe cordial", cents: 1080, grams: 1150, origin: "Danzig", unit: "0.5 l bottle",
				summary:     "Hedge sloes after the first frost, with vanilla.",
				description: "Picked after the first frost, when they lose their bite. One part to six of water, hot or cold; without alcohol.",
				tags:        []string{"drink", "fruit", "bottle", "winter"},
				look:        picture.Spec{Motif: picture.Bottle, Main: "#5b2a4d", Accent: "#f0e0d0", Text: "SCHLEHE"},
			},
		},
	}
}
