"""A contract for import-linter that states a room's rule as it is told: who lives here, and what it may import."""

import sys

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class Room(Contract):
    """Everything under `room` imports itself, the rooms of `may_import`, and nothing else of the project.

    `packages`, if given, lists the only third-party packages allowed. `barred` lists standard or third-party modules that
    are refused in any case. Nobody imports a composition root.
    """

    type_name = "room"

    # Declared as import-linter's fields, which put the values of pyproject.toml in their place.
    room: str = fields.StringField()  # type: ignore[assignment]
    may_import: list[str] = fields.ListField(subfield=fields.StringField(), required=False, default=[])  # type: ignore[assignment]
    packages: list[str] | None = fields.ListField(subfield=fields.StringField(), required=False)  # type: ignore[assignment]
    barred: list[str] = fields.ListField(subfield=fields.StringField(), required=False, default=[])  # type: ignore[assignment]

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002  # import-linter's signature
        offences: list[str] = []
        if self._exists(graph):
            inside = {self.room} | graph.find_descendants(self.room)
            for importer in sorted(inside):
                for imported in sorted(graph.find_modules_directly_imported_by(importer)):
                    if imported not in inside and not self._allows(graph, imported):
                        lines = [
                            str(detail["line_number"])
                            for detail in graph.get_import_details(importer=importer, imported=imported)
                        ]
                        offences.append(f"{importer} imports {imported} (line {', '.join(lines)})")
        return ContractCheck(kept=not offences, metadata={"offences": offences})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for offence in check.metadata["offences"]:
            output.print_error(offence)

    def _exists(self, graph: ImportGraph) -> bool:
        return self.room in graph.modules

    def _allows(self, graph: ImportGraph, imported: str) -> bool:
        top = imported.split(".", maxsplit=1)[0]
        if top in {"worker", "starter"}:
            return False
        if top in self.barred or imported in self.barred:
            return False
        if graph.is_module_squashed(imported):
            return self.packages is None or top in sys.stdlib_module_names or top in self.packages
        if imported == "dunwell":
            return True
        return any(imported == room or imported.startswith(f"{room}.") for room in self.may_import)
