package picture

// Things for the ship's desk.

// Compass is a pocket compass with its lid open.
func Compass(c *canvas, s Spec) {
	c.shadow(200, 324, 122, 16)
	c.litEllipse("flat", darken(s.Main, .2), 200, 134, 92, 66)
	c.litEllipse("flat", darken(s.Main, .06), 200, 138, 82, 56)
	c.cog(darken(s.Main, .4), 200, 130, 1.8)
	c.litEllipse("flat", darken(s.Main, .25), 200, 246, 108, 84)
	c.litEllipse("flat", s.Main, 200, 238, 108, 84)
	c.ellipse("#f4eedd", 200, 238, 90, 69)
	c.printf(`<g transform="translate(200 238) scale(1 .77)" stroke="#3a342c" fill="none">`)
	for a := 0; a < 360; a += 15 {
		length, width := 7, 1.2
		if a%90 == 0 {
			length, width = 14, 2.4
		}
		c.printf(`<path d="M0-84v%d" stroke-width="%g" transform="rotate(%d)"/>`, length, width, a)
	}
	c.printf(`<circle r="58" stroke-opacity=".4"/></g>`)
	c.printf(`<g font-family="Georgia, serif" font-size="19" text-anchor="middle" fill="#3a342c"><text x="200" y="202">N</text><text x="200" y="288">S</text><text x="258" y="245">E</text><text x="142" y="245">W</text></g>`)
	c.printf(`<g transform="translate(200 238) scale(1 .77) rotate(28)"><path d="M0-62L10 0H-10z" fill="%s"/><path d="M0 62L10 0H-10z" fill="#8b9298"/><path d="M0-62V62" stroke="#000" stroke-opacity=".2"/></g>`, s.Accent)
	c.litEllipse("ball", s.Main, 200, 238, 7, 6)
	c.printf(`<path d="M126 216q20-34 66-40" stroke="#fff" stroke-opacity=".75" stroke-width="5" fill="none" stroke-linecap="round"/>`)
}

// Hourglass is a half-hour glass in a wooden frame.
func Hourglass(c *canvas, s Spec) {
	c.shadow(200, 328, 104, 15)
	for _, x := range []float64{126, 262} {
		c.litRect("round", darken(s.Main, .15), x, 96, 12, 216, 5)
	}
	glass := "M148 104q-6 66 40 96 6 6 0 12-46 30-40 96h104q6-66-40-96-6-6 0-12 46-30 40-96z"
	c.printf(`<path d="%s" fill="#eef6f8" fill-opacity=".55"/>`, glass)
	c.path(s.Accent, "M158 160q14 26 40 40h4q26-14 40-40-42 12-84 0z")
	c.path(s.Accent, "M150 308q2-34 50-52 48 18 50 52z")
	c.stroke(s.Accent, 3, "M200 200v64")
	c.printf(`<path d="%s" fill="url(#round)" fill-opacity=".6" stroke="#fff" stroke-opacity=".85" stroke-width="2.500"/>`, glass)
	c.printf(`<path d="M160 116q-2 36 20 60M162 296q0-26 18-44" stroke="#fff" stroke-opacity=".85" stroke-width="5" fill="none" stroke-linecap="round"/>`)
	c.litRect("round", darken("#c2a066", .1), 190, 199, 20, 13, 4)
	for _, y := range []float64{82, 306} {
		c.litPath("round", s.Main, sprintf("M104 %gq96-14 192 0v18q-96 12-192 0z", y))
	}
}

// Chart is an old sea chart whose edges roll.
func Chart(c *canvas, s Spec) {
	c.shadow(200, 320, 164, 15)
	c.litRect("flat", s.Main, 62, 108, 276, 196, 2)
	sea := s.Accent
	c.printf(`<g fill="none" stroke="%s"><path d="M72 118h256v176H72z" stroke-width="2"/><path d="M76 122h248v168H76z" stroke-opacity=".5"/></g>`, sea)
	c.printf(`<clipPath id="sheet"><path d="M76 122h248v168H76z"/></clipPath><g clip-path="url(#sheet)">`)
	// Rhumb lines from one rose, and two coasts.
	for a := 0; a < 180; a += 15 {
		c.printf(`<path d="M-300 0H300" transform="translate(216 214) rotate(%d)" stroke="%s" stroke-opacity=".28"/>`, a, sea)
	}
	land := mix(s.Main, "#9a8a5a", .5)
	c.printf(`<g fill="%s" stroke="%s" stroke-width="1.6"><path d="M76 122h120q-8 18-22 22 6 14-8 18-2 16-16 12-8 16-4 30-14 8-10 24-12 12-20 8-8 10-12 6-10 6-28-2z"/><path d="M324 290H112q18-14 40-10 14-14 34-8 20-16 44-6 14-18 34-14 8-22 26-24 4-20 20-26 6-30-4-50l18-2z"/><path d="M228 160q14-6 18 6-4 14-14 14-10-8-4-20zM262 206q10-2 10 8t-10 8-8-10z"/></g>`, land, darken(land, .45))
	c.printf(`<g transform="translate(216 214)"><circle r="17" fill="%[1]s" stroke="%[2]s"/><path d="M0-24L5-5 24 0 5 5 0 24-5 5-24 0-5-5z" fill="%[2]s"/><path d="M0-24L5-5 0 0zM24 0L5 5 0 0zM0 24L-5 5 0 0zM-24 0l19-5L0 0z" fill="#a33a2c"/></g>`, s.Main, sea)
	c.cog(sea, 170, 236, .9)
	c.cog(sea, 276, 178, .7)
	c.printf(`</g>`)
	c.litRect("round", darken(s.Main, .05), 44, 100, 22, 212, 9)
	c.litRect("round", darken(s.Main, .05), 334, 100, 22, 212, 9)
}

// Book is a bound book, standing and a little turned.
func Book(c *canvas, s Spec) {
	c.shadow(204, 326, 118, 15)
	c.path(darken(s.Main, .35), "M284 92l18 10v216l-18 10z")
	c.path("#efe5cc", "M278 96l18 9v208l-18 9z")
	c.printf(`<g stroke="#cbbd99"><path d="M283 99v220M288 101v214M292 103v210"/></g>`)
	c.litPath("flat", s.Main, "M112 84h160q12 0 12 8v236H112z")
	c.litRect("flat", darken(s.Main, .28), 104, 84, 26, 244, 4)
	c.printf(`<g stroke="%s" stroke-width="2"><path d="M105 112h24M105 118h24M105 292h24M105 298h24"/></g>`, s.Accent)
	c.litRect("flat", s.Accent, 152, 128, 108, 72, 2)
	c.printf(`<path d="M157 133h98v62h-98z" fill="none" stroke="%s" stroke-opacity=".6"/>`, s.Main)
	c.text(darken(s.Main, .25), 206, 164, 20, 92, s.Text)
	c.cog(s.Accent, 206, 256, 1.5)
	c.path("#b3452f", "M236 328h10v26l-5-6-5 6z")
}

// Bell is a ship's bell with a plaited lanyard.
func Bell(c *canvas, s Spec) {
	c.shadow(200, 330, 108, 12)
	c.litPath("round", darken(s.Main, .3), "M150 58h100v14H150z")
	c.litPath("round", darken(s.Main, .12), "M186 72h28v24h-28z")
	c.litPath("round", s.Main, "M148 118q0-28 52-28t52 28q4 82 26 112 14 18 16 32-20 14-94 14t-94-14q2-14 16-32 22-30 26-112z")
	c.litPath("round", lighten(s.Main, .08), "M106 256q94 22 188 0 4 8 0 14-94 22-188 0-4-6 0-14z")
	c.stroke(darken(s.Main, .35), 2, "M150 134q50 12 100 0M148 142q52 12 104 0M128 222q72 16 144 0")
	c.cog(darken(s.Main, .42), 200, 182, 1.7)
	c.litEllipse("ball", darken(s.Main, .35), 200, 284, 17, 15)
	for i := range 4 {
		c.litEllipse("ball", s.Accent, 200, 302+float64(i)*9, 6.5, 6)
	}
	c.stroke(s.Accent, 3, "M194 336l-6 16M200 338v16M206 336l6 16")
	c.printf(`<path d="M162 120q-2 60-20 104" stroke="#fff" stroke-opacity=".5" stroke-width="7" fill="none" stroke-linecap="round"/>`)
}
