/** The models that a provider serves by name. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, data, type Schemas } from "../../api/client";
import { modelsQuery, queryClient } from "../../api/queries";
import { attempt, useAction } from "../../parts/action";
import { Button, IconButton, Row } from "../../parts/button";
import { SelectField } from "../../parts/field";
import { Star, Unlink } from "../../parts/icons";
import { Card, Empty, Failure, Stack, Table } from "../../parts/layout";
import { Tag } from "../../parts/mark";

export function LinkedModels({ provider }: { provider: Schemas["WholeProvider"] }) {
  const { id, models } = provider;
  const reload = () =>
    Promise.all([
      queryClient.invalidateQueries({ queryKey: ["providers"] }),
      queryClient.invalidateQueries({ queryKey: ["models"] }),
    ]);
  const change = (work: () => Promise<unknown>) =>
    void attempt(async () => {
      await work();
      await reload();
    });
  return (
    <Card title="Models" flush>
      <Stack>
        {models.length === 0 ? (
          <Empty title="No model is linked">
            Every model of this provider can be called as <code>{id}/model</code>. A link makes it available under its
            own name as well.
          </Empty>
        ) : (
          <Table
            label="Linked models"
            head={
              <>
                <th>Model</th>
                <th>Default</th>
                <th>
                  <span className="visually-hidden">Actions</span>
                </th>
              </>
            }
          >
            {models.map((model) => (
              <tr key={model.id}>
                <td>
                  <Link to="/models/$id" params={{ id: model.id }} data-row>
                    {model.id}
                  </Link>
                </td>
                <td>
                  {model.is_default ? (
                    <Tag tone="ok">default</Tag>
                  ) : (
                    <Button
                      small
                      kind="quiet"
                      icon={Star}
                      onClick={() =>
                        change(() =>
                          data(
                            api.PUT("/api/providers/{id}/models/{model}/default", {
                              params: { path: { id, model: model.id } },
                            }),
                          ),
                        )
                      }
                    >
                      Make default
                    </Button>
                  )}
                </td>
                <td className="numeric">
                  <IconButton
                    small
                    icon={Unlink}
                    label={`Unlink ${model.id}`}
                    onClick={() =>
                      change(() =>
                        data(
                          api.DELETE("/api/providers/{id}/models/{model}", {
                            params: { path: { id, model: model.id } },
                          }),
                        ),
                      )
                    }
                  />
                </td>
              </tr>
            ))}
          </Table>
        )}
        <AddLink provider={provider} done={reload} />
      </Stack>
    </Card>
  );
}

function AddLink({ provider, done }: { provider: Schemas["WholeProvider"]; done: () => Promise<unknown> }) {
  const { data: models } = useQuery(modelsQuery);
  const [chosen, setChosen] = useState("");
  const add = useAction(
    () =>
      data(
        api.POST("/api/providers/{id}/models", {
          params: { path: { id: provider.id } },
          body: { model_id: chosen, is_default: provider.models.length === 0 },
        }),
      ),
    {
      after: async () => {
        setChosen("");
        await done();
      },
    },
  );
  const others = (models ?? []).filter(({ id }) => !provider.models.some((linked) => linked.id === id));
  if (others.length === 0) return null;
  return (
    <div style={{ padding: "0 16px 16px" }}>
      {add.problem && <Failure title="Not linked." error={add.problem} />}
      <Row>
        <div style={{ flex: "0 1 320px" }}>
          <SelectField
            label="Link another model"
            value={chosen}
            onChange={setChosen}
            options={[["", "Choose a model"], ...others.map(({ id }): [string, string] => [id, id])]}
          />
        </div>
        <div style={{ alignSelf: "end" }}>
          <Button
            pending={add.pending}
            disabledBecause={chosen === "" ? "Choose a model first" : undefined}
            onClick={() => add.run()}
          >
            Link
          </Button>
        </div>
      </Row>
    </div>
  );
}
