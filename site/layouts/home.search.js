{{- $pages := slice -}}
{{- range site.Pages -}}
  {{- if .File -}}
    {{- $headings := slice -}}
    {{- range findRESubmatch `<h[23] id="([^"]*)">(.*?) <a class="anchor"` .Content -}}
      {{- $headings = $headings | append (slice (index . 1) (index . 2 | plainify | htmlUnescape)) -}}
    {{- end -}}
    {{- $pages = $pages | append (dict "url" (strings.TrimPrefix "/" .RelPermalink) "title" (partial "title.html" .) "headings" $headings "text" (.Plain | htmlUnescape)) -}}
  {{- end -}}
{{- end -}}
apptierSearch({{ $pages | jsonify | safeJS }})
