"""The page at /docs: all routes, from the schema at /openapi.json, nothing loaded from afar."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestration.releases.templates import environment


def docs_page(schema: Mapping[str, Any], address: str) -> str:
    """Return the page.

    Args:
        schema: The service's OpenAPI schema.
        address: Where the service is, with a slash at the end.
    """
    models = schema["components"]["schemas"]
    routes = [
        {
            "method": method.upper(),
            "path": path,
            "what": route.get("description", ""),
            "fields": list(_fields(route, models)),
        }
        for path, methods in schema["paths"].items()
        for method, route in methods.items()
    ]
    template = environment(Path(__file__).parent).get_template("docs.html.j2")
    return template.render(title=schema["info"]["title"], routes=routes, schema=schema, at=address)


def _fields(route: Mapping[str, Any], models: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what a route takes: its parameters, or the keys of its body."""
    for parameter in route.get("parameters", []):
        yield {
            "name": parameter["name"],
            "place": parameter["in"],
            "required": parameter.get("required", False),
            **_told(parameter["schema"], parameter.get("description", "")),
        }
    content = route.get("requestBody", {}).get("content", {})
    for body in content.values():
        model = models[body["schema"]["$ref"].rsplit("/", 1)[-1]]
        for name, field in model["properties"].items():
            required = name in model.get("required", [])
            yield {"name": name, "place": "body", "required": required, **_told(field, "")}


def _told(field: Mapping[str, Any], description: str) -> dict[str, Any]:
    kinds = [part for part in field.get("anyOf", [field]) if part.get("type") != "null"]
    return {
        "type": " or ".join(part.get("type", "") for part in kinds),
        "default": field.get("default"),
        "what": description or field.get("description", ""),
    }
