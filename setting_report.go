package hanse

import (
	"encoding/json"
	"net/http"
)

// configReport is what /debug/config tells of one service of the app.
type configReport struct {
	Service  string          `json:"service"`
	Settings []configSetting `json:"settings"` // that the service read, in the order of its structs
}

// configSetting is a setting and where it came from. What a config.Secret holds is never told.
type configSetting struct {
	Path   string `json:"path"`
	Value  string `json:"value"`
	Source string `json:"source"`         // default, shop.yaml:12:3, env CART_MAX_ITEMS, flag cart.max-items
	Env    string `json:"env"`            // the variable that sets it
	Desc   string `json:"desc,omitempty"` // for people
}

// serveConfig tells the settings of the services and where each came from.
func (r *run) serveConfig(w http.ResponseWriter, req *http.Request) {
	only, ok := r.asked(w, req)
	if !ok {
		return
	}
	reports := []configReport{}
	for _, m := range r.members {
		if only != "" && m.Name != only {
			continue
		}
		report := configReport{Service: m.Name, Settings: []configSetting{}}
		for _, v := range r.config.Values(m.Name) {
			report.Settings = append(report.Settings, configSetting{Path: v.Path, Value: v.Text, Source: v.Source.String(), Env: v.Env, Desc: v.Desc})
		}
		reports = append(reports, report)
	}
	w.Header().Set("Content-Type", "application/json")
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.Encode(reports)
}
