"""XMP: properties that hold pictures, or speak of what no longer follows the picture, are removed.

Source: XMP Specification, parts 1 and 3 (Adobe, ISO 16684); Google's documentation of Motion Photo,
Dynamic Depth and Ultra HDR; C2PA Technical Specification (`dcterms:provenance`).
"""

import re
from typing import Any

from inpaintcli.imaging.metadata.content import is_readable_text
from inpaintcli.imaging.metadata.removals import Removals

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
NOTE = "http://ns.adobe.com/xmp/note/"
PICTURES = {
    "http://ns.adobe.com/xap/1.0/g/img/": "XMP thumbnails",
    "http://ns.google.com/photos/1.0/image/": "the original photo in XMP (GImage)",
    "http://ns.google.com/photos/1.0/depthmap/": "a depth map and its original in XMP (GDepth)",
    "http://ns.google.com/photos/1.0/audio/": "sound in XMP (GAudio)",
}
"""Namespaces all of whose properties hold pictures or sound, or describe these."""
OUTDATED = {
    "http://ns.google.com/photos/1.0/container/": "XMP's list of what follows the picture",
    "http://ns.google.com/photos/1.0/container/item/": "XMP's list of what follows the picture",
    "http://ns.google.com/photos/dd/": "XMP on a depth map behind the picture",
    "http://ns.google.com/photos/1.0/focus/": "XMP on a depth map",
    "http://ns.adobe.com/hdr-gain-map/1.0/": "XMP on a gain map",
    "http://ns.apple.com/HDRGainMap/": "XMP on a gain map",
    "http://ns.apple.com/pixeldatainfo/": "XMP on a gain map or depth map",
    "http://ns.apple.com/depthData/": "XMP on a depth map",
    "http://ns.xiaomi.com/photos/": "XMP on what follows the picture",
    "http://ns.oppo.com/photos/": "XMP on what follows the picture",
    "http://ns.vivo.com/photos/": "XMP on what follows the picture",
}
"""Namespaces that describe what lies behind the picture in the file, which is not kept."""
CAMERA = "http://ns.google.com/photos/1.0/camera/"
MOTION = re.compile(r"(Motion|Micro)(Photo|Video)")
TEXT_LAYERS = ("http://ns.adobe.com/photoshop/1.0/", "TextLayers")
PROVENANCE = ("http://purl.org/dc/terms/", "provenance")
THUMBNAILS = ("http://ns.adobe.com/xap/1.0/", "Thumbnails")
SUSPECTS = re.compile(
    "|".join(
        [re.escape(name) for name in (*PICTURES, *OUTDATED, CAMERA, NOTE, PROVENANCE[0])]
        + ["Thumbnails", TEXT_LAYERS[1], "<!DOCTYPE", "<!ENTITY", "c2pa"]
    ).encode()
)


def cleaned(packet: bytes, removals: Removals, *, extension: bool = False) -> bytes | None:
    """The XMP packet without what may show the photo or is no longer true; None where none stays.

    A packet in which there is nothing of that comes back byte for byte.

    Args:
        packet: the XMP, as it lies in the file.
        removals: takes the names of what does not stay.
        extension: its mark of extended XMP stays, as that stays too.
    """
    text = packet.strip(b"\0 \r\n\t")
    if not SUSPECTS.search(text) and b"\0" not in text and is_readable_text(text):
        return packet
    if re.search(rb"<!(DOCTYPE|ENTITY)|\0", text):  # attacks by entities; encodings besides UTF-8
        removals.unreadable("XMP")
        return None
    return _edited(packet, text, removals, extension)


def _edited(packet: bytes, text: bytes, removals: Removals, extension: bool) -> bytes | None:
    from xml.dom import minidom
    from xml.parsers.expat import ExpatError

    try:
        document = minidom.parseString(text)  # noqa: S318 - without entities, see `cleaned`
    except (ExpatError, ValueError):
        removals.unreadable("XMP")
        return None
    editor = _Editor(removals, extension)
    if editor.element(document.documentElement):
        return None
    parts = [node.toxml() for node in document.childNodes]
    kept = [part for part in parts if is_readable_text(part.encode())]
    if len(kept) < len(parts):
        removals.unreadable("a comment or instruction beside XMP")
    elif not editor.edited:
        return packet
    if editor.empty(document.documentElement):
        return None
    return "".join(kept).encode()


class _Editor:
    """Removes attributes and elements of a document; a property goes as a whole."""

    def __init__(self, removals: Removals, extension: bool) -> None:
        self.removals, self.extension, self.edited = removals, extension, False

    def element(self, element: Any) -> bool:
        """Edit an element; returns whether it must itself go."""
        if self._goes(element) or self._holds_bytes(element):
            return True
        for attribute in list(element.attributes.values()) if element.attributes else []:
            if self._goes(attribute) or self._is_opaque(attribute, attribute.value):
                element.removeAttributeNode(attribute)
                self.edited = True
        return not all(self._child(child, element) for child in list(element.childNodes))

    def _child(self, child: Any, element: Any) -> bool:
        """Edit a child; returns False where the whole element must go because of it."""
        if child.nodeType == child.ELEMENT_NODE:
            goes = self.element(child)
        else:
            goes = child.nodeType not in (child.TEXT_NODE, child.CDATA_SECTION_NODE)
            if goes:
                self.removals.unreadable("a comment in XMP")
        if goes and child.nodeType == child.ELEMENT_NODE and not _holds_properties(element):
            return False
        if goes:
            element.removeChild(child)
            self.edited = True
        return True

    def empty(self, root: Any) -> bool:
        """Whether no property is left in the document."""
        descriptions = root.getElementsByTagNameNS(RDF, "Description")
        if not descriptions:
            return not any(child.nodeType == child.ELEMENT_NODE for child in root.childNodes)
        return not any(_has_properties(description) for description in descriptions)

    def _goes(self, node: Any) -> bool:
        """Whether a property is one of those that never stay, by its name."""
        namespace, name = node.namespaceURI or "", node.localName or ""
        if namespace == NOTE and name == "HasExtendedXMP":
            return not self.extension
        if found := _by_namespace(PICTURES, namespace):
            self.removals.preview(found)
        elif (namespace, name) == THUMBNAILS:
            self.removals.preview("XMP thumbnails")
        elif found := _by_namespace(OUTDATED, namespace):
            self.removals.outdated(found)
        elif namespace == CAMERA and MOTION.search(name):
            self.removals.outdated("XMP on a motion photo")
        elif (namespace, name) == PROVENANCE:
            self.removals.outdated("XMP's link to a C2PA manifest")
        elif (namespace, name) == TEXT_LAYERS:
            self.removals.preview("the text of Photoshop's layers in XMP")
        else:
            return False
        return True

    def _holds_bytes(self, element: Any) -> bool:
        """Whether an element's own text is no text for people."""
        kinds = (element.TEXT_NODE, element.CDATA_SECTION_NODE)
        texts = [child.data for child in element.childNodes if child.nodeType in kinds]
        return self._is_opaque(element, "".join(texts))

    def _is_opaque(self, node: Any, text: str) -> bool:
        if is_readable_text(text.encode(errors="replace")):
            return False
        self.removals.unreadable(f"XMP {node.nodeName}")
        return True


def _by_namespace(names: dict[str, str], namespace: str) -> str:
    return next((name for start, name in names.items() if namespace.startswith(start)), "")


def _holds_properties(element: Any) -> bool:
    """Whether the children of an element stay although one of them goes."""
    if (element.namespaceURI, element.localName) == (RDF, "Description"):
        return bool(element.parentNode.localName == "RDF")
    return element.localName in ("RDF", "xmpmeta", "xapmeta")


def _has_properties(description: Any) -> bool:
    attributes = [a for a in description.attributes.values() if not a.name.startswith("xmlns")]
    own = [a for a in attributes if a.namespaceURI not in (RDF, NOTE)]
    return bool(own) or any(c.nodeType == c.ELEMENT_NODE for c in description.childNodes)
