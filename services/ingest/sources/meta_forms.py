"""What Graph tells, put into the form of the webhook that would have told it."""

from __future__ import annotations

from typing import Any

COMMENT = "id,from,message,created_time,parent{id},permalink_url,attachment"
REPLY = "id,from,username,text,timestamp,parent_id"
"""The fields of a page's comment and of Instagram's."""


def post_change(post: dict[str, Any]) -> dict[str, Any]:
    """A post on a page."""
    return {
        "field": "feed",
        "value": {
            "item": "post",
            "verb": "add",
            "post_id": post.get("id"),
            "from": post.get("from"),
            "message": post.get("message") or "",
            "created_time": post.get("created_time"),
            "post": {"permalink_url": post.get("permalink_url")},
        },
    }


def mention_change(post: dict[str, Any]) -> dict[str, Any]:
    """Somebody's post that tags the page."""
    return {"field": "mention", "value": post_change(post)["value"]}


def rating_change(rating: dict[str, Any]) -> dict[str, Any]:
    """A recommendation of the page."""
    reviewer = rating.get("reviewer")
    reviewer = reviewer if isinstance(reviewer, dict) else {}
    return {
        "field": "ratings",
        "value": {
            "item": "rating",
            "verb": "add",
            "open_graph_story_id": rating["open_graph_story"].get("id"),
            "reviewer_id": reviewer.get("id"),
            "reviewer_name": reviewer.get("name"),
            "review_text": rating.get("review_text") or "",
            "created_time": rating.get("created_time"),
        },
    }


def comment_change(
    comment: dict[str, Any], post: dict[str, Any], verb: str = "add"
) -> dict[str, Any]:
    """A comment under a post."""
    parent = comment.get("parent")
    attachment = comment.get("attachment")
    media = attachment.get("media") if isinstance(attachment, dict) else None
    image = media.get("image") if isinstance(media, dict) else None
    return {
        "field": "feed",
        "value": {
            "item": "comment",
            "verb": verb,
            "comment_id": comment.get("id"),
            "post_id": post.get("id"),
            "parent_id": (parent.get("id") if isinstance(parent, dict) else None) or post.get("id"),
            "from": comment.get("from"),
            "message": comment.get("message") or "",
            "created_time": comment.get("created_time"),
            "photo": image.get("src") if isinstance(image, dict) else None,
            "post": {"permalink_url": comment.get("permalink_url")},
        },
    }


def instagram_change(comment: dict[str, Any], media: dict[str, Any]) -> dict[str, Any]:
    """A comment under a medium, or an answer to one."""
    value = {
        "id": comment.get("id"),
        "from": comment.get("from"),
        "media": {"id": media.get("id")},
        "parent_id": comment.get("parent_id"),
        "text": comment.get("text") or "",
    }
    return {"field": "comments", "value": value}
