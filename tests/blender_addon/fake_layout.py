"""A stand-in for Blender's UILayout that records what is drawn, and refuses what the real one would."""

import bpy

ICONS = set(bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items.keys())


class FakeLayout:
    """Its children write into the same `drawn`: (method, text, data)."""

    def __init__(self, drawn=None):
        self.drawn = [] if drawn is None else drawn

    @property
    def texts(self):
        return [text for _, text, _ in self.drawn if text]

    @property
    def operators(self):
        return [data for method, _, data in self.drawn if method == "operator"]

    def _child(self, *_, **__):
        return FakeLayout(self.drawn)

    row = column = box = split = column_flow = grid_flow = menu_pie = _child

    def panel(self, idname, default_closed=False):
        return FakeLayout(self.drawn), FakeLayout(self.drawn)

    def label(self, text="", icon="NONE", icon_value=0, **_):
        assert icon in ICONS, icon
        self.drawn.append(("label", text, icon))

    def separator(self, **_):
        self.drawn.append(("separator", "", None))

    def progress(self, text="", factor=0.0, type="BAR"):
        assert 0 <= factor <= 1
        self.drawn.append(("progress", text, factor))

    def prop(self, data, name, text="", icon="NONE", **_):
        assert name in data.bl_rna.properties, name
        assert icon in ICONS, icon
        self.drawn.append(("prop", text, name))

    def prop_search(self, data, name, collection, other, text="", icon="NONE", **_):
        assert name in data.bl_rna.properties and other in collection.bl_rna.properties
        self.drawn.append(("prop", text, name))

    def operator(self, idname, text=None, icon="NONE", **_):
        module, _, name = idname.partition(".")
        rna = getattr(getattr(bpy.ops, module), name).get_rna_type()  # raises for an unknown one
        assert icon in ICONS, icon
        self.drawn.append(("operator", rna.name if text is None else text, idname))
        return _FakeProperties(rna)

    def menu(self, name, text="", icon="NONE", **_):
        assert hasattr(bpy.types, name) and icon in ICONS
        self.drawn.append(("menu", text, name))

    def template_icon(self, icon_value, scale=1.0):
        self.drawn.append(("picture", "", icon_value))

    def template_list(self, idname, list_id, data, name, active_data, active_name, **_):
        cls = bpy.types.UIList.bl_rna_get_subclass_py(idname)
        for index, item in enumerate(getattr(data, name)):
            cls.draw_item(None, bpy.context, FakeLayout(self.drawn), data, item, 0, active_data, active_name, index, 0)
        self.drawn.append(("list", "", idname))

    def template_ID(self, data, name, **_):  # noqa: N802 (Blender's name)
        assert name in data.bl_rna.properties
        self.drawn.append(("prop", "", name))


class _FakeProperties:
    """What `layout.operator` returns: takes the operator's own properties alone."""

    def __init__(self, rna):
        object.__setattr__(self, "_names", set(rna.properties.keys()))

    def __setattr__(self, name, value):
        assert name in self._names, name


class FakePanel:
    """The `self` that a panel's draw gets."""

    def __init__(self, cls):
        self.layout = FakeLayout()
        self._cls = cls

    def __getattr__(self, name):
        value = getattr(self._cls, name)
        return value.__get__(self) if callable(value) else value


def draw(cls, method="draw"):
    """What the panel draws now."""
    panel = FakePanel(cls)
    getattr(cls, method)(panel, bpy.context)
    return panel.layout


def panels():
    """Every registered panel of the tab, by name."""
    found = {}
    for cls in bpy.types.Panel.__subclasses__():
        if getattr(cls, "bl_category", "") == "Vivant" and cls.is_registered:
            found[cls.bl_idname] = cls
    return found
