"""A web application whose requests enqueue tasks and await results; its loop is never blocked."""

import asyncio

from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from tasks import add, build_report, huey, progress_key

from huey.api import Result, ResultTimeout, Task
from huey.contrib.mini import AsyncMiniHuey

# For what may be lost with the process; everything else is a task of the real queue.
mini = AsyncMiniHuey("web")
app = FastAPI(lifespan=mini.lifespan)
visits = {"counted": 0, "seconds": 0}


@mini.task()
async def count_visit():
    """Run on the loop of the web server, after the answer was sent."""
    visits["counted"] += 1


@mini.task("* * * * * *")
async def count_seconds():
    """Run once a second, while the web server lives."""
    visits["seconds"] += 1


@app.get("/sum")
async def get_sum(a: int, b: int):
    """Enqueue a task, and await its result within the request."""
    count_visit()
    return await (await add.aenqueue(a, b))


@app.post("/reports", status_code=202)
async def post_report(chapters: int):
    """Enqueue a task that takes longer than a request should."""
    result = await build_report.aenqueue(chapters)
    return {"id": result.id}


@app.get("/reports/{task_id}")
async def get_report(task_id: str):
    """Give the report; it stays in the storage, so that it can be asked for again."""
    handle = Result(huey, Task(id=task_id))
    try:
        return await huey.aget_result(handle, preserve=True, timeout=20)
    except ResultTimeout:
        raise HTTPException(404, "There is no such report yet.") from None


@app.get("/reports/{task_id}/progress")
async def get_progress(task_id: str):
    """Stream the percentage, as server-sent events, until the report is written."""

    async def events():
        percent, told = 0, None
        while percent < 100:
            percent = await asyncio.to_thread(huey.get, progress_key(task_id), True) or 0
            if percent != told:
                yield f"data: {percent}\n\n"
                told = percent
            await asyncio.sleep(0.02)

    return StreamingResponse(events(), media_type="text/event-stream")


@app.get("/visits")
async def get_visits():
    """Tell what the tasks of this process have counted."""
    return visits
