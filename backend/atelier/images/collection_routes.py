"""/api/collections"""

from __future__ import annotations

from fastapi import status

from atelier.access.actor import User
from atelier.deps import ServicesDep
from atelier.images.gallery_schemas import CollectionIn, CollectionList, CollectionOut
from atelier.routing import Router

router = Router(prefix="/api", tags=["images"])


@router.get("/collections", summary="List the collections, by name")
async def list_collections(actor: User, services: ServicesDep) -> CollectionList:
    return await services.collections.list(actor)


@router.post("/collections", summary="Make a collection", status_code=status.HTTP_201_CREATED)
async def add_collection(wanted: CollectionIn, actor: User, services: ServicesDep) -> CollectionOut:
    """Pictures are put into it with `POST /api/gallery/edit`."""
    return await services.collections.add(actor, wanted)


@router.patch("/collections/{collection_id}", summary="Rename a collection")
async def rename_collection(
    collection_id: str, wanted: CollectionIn, actor: User, services: ServicesDep
) -> CollectionOut:
    return await services.collections.change(actor, collection_id, wanted)


@router.delete("/collections/{collection_id}", summary="Delete a collection; its pictures stay in the gallery")
async def remove_collection(collection_id: str, actor: User, services: ServicesDep) -> CollectionOut:
    return await services.collections.remove(actor, collection_id)
