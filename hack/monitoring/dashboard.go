package main

import (
	"encoding/json"
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// panel is one picture of the dashboard.
type panel struct {
	title, description string
	// unit is Grafana's name of one: short, s, pps, ops.
	unit string
	// series are drawn together.
	series []series
}

// series are what an expression yields, each named by its labels.
type series struct{ expr, legend string }

// row is a line of the dashboard with what belongs together.
type row struct {
	title  string
	panels []panel
}

// dashboardMap is the ConfigMap that holds the dashboard. Grafana's sidecar, as the chart kube-prometheus-stack installs
// it, loads those with its label.
func dashboardMap() (*corev1.ConfigMap, error) {
	board, err := dashboardOf(rows())
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(board, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the dashboard: %w", err)
	}
	all := labels("dashboard")
	all["grafana_dashboard"] = "1"
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Name: "apptier-dashboard", Namespace: "apptier-system", Labels: all},
		Data:       map[string]string{"apptier.json": string(text) + "\n"},
	}, nil
}

// dashboardOf is a dashboard of the classic schema: each Grafana in use loads it from files.
//
//nolint:staticcheck // the library prefers the next schema, which only the newest Grafana knows
func dashboardOf(rows []row) (dashboard.Dashboard, error) {
	board := dashboard.NewDashboardBuilder("apptier").Uid("apptier").Tags([]string{"apptier", "networkpolicy"}).
		Description("Whether apptier's manager and enforcers do what they should, and what is denied.").
		Time("now-6h", "now").Refresh("1m").Readonly().Tooltip(dashboard.DashboardCursorSyncCrosshair).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus")).
		WithVariable(dashboard.NewQueryVariableBuilder("node").Label("Node").Datasource(source()).Multi(true).IncludeAll(true).AllValue(".*").
			Query(dashboard.StringOrMap{String: cog.ToPtr("label_values(apptier_enforcer_pods, node)")}).
			Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortAlphabeticalAsc)).
		Link(dashboard.NewDashboardLinkBuilder("Runbooks").Type(dashboard.DashboardLinkTypeLink).Url(runbooks).TargetBlank(true))
	id := uint32(1)
	for _, r := range rows {
		board = board.WithRow(dashboard.NewRowBuilder(r.title).Id(id))
		id++
		for _, p := range r.panels {
			board = board.WithPanel(picture(p, id))
			id++
		}
	}
	built, err := board.Build()
	if err != nil {
		return built, fmt.Errorf("building the dashboard: %w", err)
	}
	return built, nil
}

func picture(p panel, id uint32) cog.Builder[dashboard.Panel] {
	drawn := timeseries.NewPanelBuilder().Id(id).Title(p.title).Description(p.description).Unit(p.unit).Min(0).Height(8).Span(8).
		Datasource(source()).FillOpacity(10).
		Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(true)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	for i, s := range p.series {
		drawn = drawn.WithTarget(prometheus.NewDataqueryBuilder().RefId(string(rune('A' + i))).Datasource(source()).
			Expr(s.expr).LegendFormat(s.legend).Range())
	}
	return drawn
}

// source is the Prometheus that whoever looks has chosen.
func source() common.DataSourceRef {
	return common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("${datasource}")}
}
